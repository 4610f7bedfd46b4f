/** Kernels whose paths a software adapter's compiler visits one by one. Measured: docs/design/kernels-untrusted.md. */
import { expect, test } from 'vitest'
import { inspectKernel } from '#engine/kernels/rewrite/inspect-kernel.ts'
import { checkWays } from '#engine/kernels/rewrite/count-ways.ts'

const many = (count: number, text: (n: number) => string) =>
  Array.from({ length: count }, (_, n) => text(n)).join('\n')
const inLoop = (body: string) => `for (var i = 0u; i < 100u; i++) { ${body} }`
const either = (n: number) => `if (i % ${n + 2}u == 0u) { a += b; } else { b += a; }`
const FUNCTION = `fn either(i: u32) -> u32 { if (i > 7u) { return i; } else { return i * 2u; } }
fn stepped(i: u32) -> u32 { var a = i; var b = 1u; ${many(20, either)} return a + b; }`

function refusal(body: string) {
  const wgsl = `${FUNCTION}
@group(0) @binding(0) var<storage, read_write> out: array<u32>;
@compute @workgroup_size(64) fn main() {
  var a = out[0]; var b = out[1]; let k = out[2];
  ${body}
  out[0] = a + b;
}`
  try {
    checkWays(inspectKernel(wgsl, 'main'))
    return undefined
  } catch (error) {
    return error
  }
}

test.each([
  ['branches with else on its counter', inLoop(many(28, either))],
  ['branches on its values', inLoop(many(28, (n) => `if (a > ${n}u) { b++; } else { a++; }`))],
  ['conditions joined by &&', inLoop(many(20, (n) => `a += u32(i > ${n}u && b > i);`))],
  [
    'switches',
    inLoop(
      many(
        10,
        () =>
          'switch i { case 0u: { a++; } case 1u, 2u: { b++; } case 3u: { a += b; } default: {} }',
      ),
    ),
  ],
  ['calls of functions that branch', inLoop(many(20, (n) => `a += either(i + ${n}u);`))],
  ['a call of a function with many branches', inLoop('a = stepped(a);')],
  ['a loop inside', inLoop(`${many(10, either)} ${inLoop(many(20, either))}`)],
  ['its condition', `while (a < 9u ${many(20, (n) => `&& (b > ${n}u || k == a)`)}) { a++; }`],
  ['branches all together', many(12, () => inLoop(many(16, either)))],
])('[U3] a loop with too many paths through %s is refused on a software adapter', (_, body) => {
  expect(refusal(body)).toMatchObject({
    code: 'no_capacity',
    meta: { rule: 'kernels.budget' },
    detail: expect.stringMatching(/line \d+: this loop/),
  })
})

test.each([
  ['branches outside of loops', many(60, (n) => either(n).replace('i %', 'k %'))],
  [
    'branches behind a loop',
    `${inLoop('a++;')} ${many(60, (n) => either(n).replace('i %', 'k %'))}`,
  ],
  ['branches without else', inLoop(many(60, (n) => `if (i % ${n + 2}u == 0u) { a += b; }`))],
  [
    'a long chain of else if',
    inLoop(`${many(60, (n) => `if (i == ${n}u) { a += b; } else`)} { b++; }`),
  ],
  [
    'one switch of many clauses',
    inLoop(`switch i { ${many(60, (n) => `case ${n}u: { a += ${n}u; }`)} default: {} }`),
  ],
  [
    'loops in a row, each with a branch',
    inLoop(many(30, () => `for (var j = 0u; j < i; j++) { ${either(0)} }`)),
  ],
  ['a dozen branches', inLoop(many(12, either))],
])('[U3] a kernel with %s is accepted', (_, body) => {
  expect(refusal(body)).toBeUndefined()
})
