/** Compares constant expressions with a real compiler, through `const_assert`. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isScalar, Uncomputed, type Value } from '#engine/kernels/constant/values.ts'
import { parseKernel } from '#engine/kernels/parse/parse-kernel.ts'
import { createModuleNames } from '#engine/kernels/rewrite/module-names.ts'
import type { NodeDevice } from '#local-node/engine/device.ts'
import { createRandom, type Random } from '../support/random.ts'
import { compileErrors, openTestDevice } from '../support/wgsl/device.ts'

/** One of each kind in the specification. */
const EXPRESSIONS = [
  '10 + (-2)',
  '0x10 | 4',
  '~0u >> 28u',
  '-(-8)',
  '1 << 3',
  '7 % 4',
  '-7 / 2',
  '5u - 6u',
  '0xFFu & 15u',
  '6 ^ 3',
  '2147483647i + 1i',
  '65536u * 65536u + 9u',
  'select(4, 8, true)',
  'vec3(1, 2, 3).y',
  'vec2(2, 3).yx.x',
  'array(1, 2, 3)[1]',
  'array<u32, 2>(4, 5)[1]',
  'vec4f(1).w',
  'mat2x2(1, 2, 3, 4)[1][0]',
  'mat2x2f(1, 2, 3, 4)[1].y',
  'vec3<u32>(7)[2]',
  'u32(3.7)',
  'i32(-2.5)',
  'u32(true)',
  'i32(4294967295u)',
  'f32(3) / 2',
  'u32(0x1p4)',
  'max(3, 9)',
  'min(vec2(4, 5), vec2(5, 2)).y',
  'clamp(12, 1, 8)',
  'abs(-4)',
  'sign(-3)',
  'countOneBits(255u)',
  'countLeadingZeros(1u)',
  'countTrailingZeros(8)',
  'reverseBits(1u)',
  'firstLeadingBit(64u)',
  'firstTrailingBit(64u)',
  'extractBits(0xF0u, 4u, 4u)',
  'insertBits(0u, 5u, 4u, 3u)',
  'dot(vec2(1, 2), vec2(3, 4))',
  'u32(sqrt(16.0))',
  'u32(pow(2.0, 5.0))',
  'u32(exp2(4.0))',
  'u32(log2(1024.0))',
  'u32(ceil(log2(1000.0)))',
  'floor(2.7)',
  'round(2.5)',
  'trunc(-2.5)',
  'fract(2.25)',
  'u32(length(vec2(3.0, 4.0)))',
  'bitcast<u32>(1.0f)',
  'bitcast<i32>(4294967295u)',
  'all(vec2(true, false))',
  'any(vec2(true, false))',
  '1 < 2 && 2 < 1',
  'true || 1 / 0 == 1',
  '!(3 >= 4)',
  'u32(2.0 * 3.5)',
  'mix(2.0, 4.0, 0.5)',
  'step(1.0, 2.0)',
  'saturate(3.0)',
  'fma(2.0, 3.0, 1.0)',
  'cross(vec3(1, 0, 0), vec3(0, 1, 0)).z',
  'S(3, 4u).b',
  'A(1, 2, 3).z',
  'N + M',
  'V.y * 2',
  'transpose(mat2x2(1, 2, 3, 4))[0].y',
  '(mat2x2(1, 2, 3, 4) * vec2(1, 1)).x',
  '(vec2(1, 2) * 3).y',
  'vec2u(vec2f(1.5, 2.5)).y',
  '0x1.8p1',
  '1e2',
  '.5 * 8',
  'u32()',
  'vec2<i32>().x',
  'distance(vec2(0.0, 3.0), vec2(4.0, 0.0))',
]
const MODULE = `struct S { a: i32, b: u32 }
alias A = vec3u;
const N = 4;
const M: u32 = 3;
const V = vec2(5, 6);
`

function valueOf(expression: string): Value | Uncomputed {
  const module = parseKernel(`${MODULE}const RESULT = ${expression};`)
  const names = createModuleNames(module)
  try {
    return names.scope.valueOf('RESULT')
  } catch (error) {
    if (error instanceof Uncomputed) return error
    throw error
  }
}

/** The value as WGSL source. */
function written(value: Value): string {
  if (!isScalar(value)) throw new Error('no scalar')
  if (value.kind === 'i32' || value.kind === 'int')
    return value.value === -2147483648n
      ? `(-2147483647${value.kind === 'i32' ? 'i' : ''} - 1)`
      : `${value.value}`
  if (value.kind === 'u32') return `${value.value}u`
  return String(value.value)
}

describe('a constant expression', () => {
  let opened: NodeDevice
  beforeAll(async () => {
    opened = await openTestDevice()
  })
  afterAll(() => opened?.device.destroy())
  const errors = (text: string) => compileErrors(opened.device, MODULE + text)

  test.each(EXPRESSIONS)('%s has the value that the compiler computes', async (text) => {
    const value = valueOf(text)
    expect(value).not.toBeInstanceOf(Uncomputed)
    expect(await errors(`const_assert (${text}) == ${written(value as Value)};`)).toEqual([])
  })

  test('at random has the compiler’s value, or none', async () => {
    let computed = 0
    let refused = 0
    for (let seed = 0; seed < 600; seed += 1) {
      const text = randomExpression(createRandom(seed))
      const value = valueOf(text)
      const isTaken = (await errors(`const RESULT = ${text};`)).length === 0
      if (value instanceof Uncomputed) {
        if (isTaken) refused += 1
        continue
      }
      if (!isTaken) continue
      computed += 1
      expect(
        await errors(`const_assert (${text}) == ${written(value)};`),
        `seed ${seed}: ${text}`,
      ).toEqual([])
    }
    expect(computed).toBeGreaterThan(200)
    expect(refused).toBeLessThan(computed / 10)
  })
})

function randomExpression(random: Random, depth = 0): string {
  const pick = (list: string) => list.split(' ')[random.below(list.split(' ').length)] ?? ''
  const inner = () => randomExpression(random, depth + 1)
  const roll = depth > 3 ? 0 : random.below(20)
  if (roll < 5) return pick('1 2 3 0 7 -5 0x1F 4u 9u 2i -3i 1.5 0.25 3.0f 2e2 N M V.x true')
  if (roll < 11) return `(${inner()} ${pick('+ - * / % & | ^ << >> < ==')} ${inner()})`
  if (roll < 13) return `${pick('- ~ !')}(${inner()})`
  if (roll < 15) return `${pick('u32 i32 f32 bool')}(${inner()})`
  if (roll < 17) return `${pick('min max')}(${inner()}, ${inner()})`
  if (roll < 18) return `select(${inner()}, ${inner()}, ${inner()} < ${inner()})`
  if (roll < 19) return `vec2(${inner()}, ${inner()}).${pick('x y')}`
  return `${pick('abs sign floor ceil round countOneBits firstLeadingBit sqrt')}(${inner()})`
}
