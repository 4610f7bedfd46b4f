/** Sizes in constant expressions: nothing weighs less here than in the compiler. */
import { describe, expect, it } from 'vitest'
import { inspectKernel } from '#engine/kernels/rewrite/inspect-kernel.ts'

const kernel = (constants: string, inside = '', size = 'N') => `${constants}
@compute @workgroup_size(1) fn main() {
  ${inside}
  for (var i = 0u; i < 9u; i++) { var a: array<u32, ${size}>; var b = a; a[i] = b[i]; }
}`

describe('the size of an array', () => {
  it.each(['const N = 1000u;', 'const N = 4u * (200u + 50);', 'const N = min(1000, 2000);'])(
    'that is %s is weighed in full',
    (constants) => {
      const [loop] = inspectKernel(kernel(constants), 'main').functions[0]?.loops ?? []
      expect(loop?.weight).toBeGreaterThan(2_000)
    },
  )

  it.each([
    'const N = 4u - 4294967295u + 995u;',
    'const N = (0u - 1u) / 4200000u;',
    'const N = max(0u - 1u, 1u) % 1000u + 700;',
    'const N = u32(-1i) - 4294966295u;',
    'const N = (65536u * 65536u) + 1000u;',
    'const V = vec3(1, 1000, 3); const N = V.y;',
    'const F = 0x3C0 | 40; const N = select(1, F, F > 999);',
    'struct S { a: u32, b: i32 } const N = S(1, 1000).b;',
    'override N: u32 = 10 * 100;',
  ])('is computed in 32 bits: %s', (constants) => {
    const [loop] = inspectKernel(kernel(constants), 'main').functions[0]?.loops ?? []
    expect(loop?.weight).toBeGreaterThan(1_900)
  })

  it('uses the constant of the function when the module has one of the same name', () => {
    const weightOf = (constants: string, inside: string) =>
      inspectKernel(kernel(constants, inside), 'main').functions[0]?.loops[0]?.weight ?? 0
    expect(weightOf('const N = 1u;', 'const N = 1000u;')).toBeGreaterThan(2_000)
    expect(weightOf('const N = 1000u;', 'const N = 1u;')).toBeLessThan(200)
    expect(weightOf('', 'const M = 500u; const N = M * 2u;')).toBeGreaterThan(2_000)
    // A `let` has no constant value, even if the module has a constant of that name.
    expect(() => weightOf('const N = 1u;', 'let N = 1000u;')).toThrow('N is not a constant')
  })

  it.each([
    ['-1', 'is -1'],
    ['0', 'is 0'],
    ['2.5', 'is 2.5'],
    ['9 / 0', 'divides by zero'],
    ['u32(sin(1.0f) * 1e9)', 'compilers may differ'],
    ['dot4U8Packed(1u, 2u)', 'dot4U8Packed() is not computed here'],
    ['nothing', 'nothing is not a constant'],
    ['own()', 'own() is not a constant'],
  ])('%s is refused with its reason and line', (size, why) => {
    const text = kernel('fn own() -> u32 { return 4u; }', '', size)
    const told = expect.objectContaining({
      code: 'invalid_request',
      detail: expect.stringMatching(/line 4: the size of this array /),
    })
    expect(() => inspectKernel(text, 'main')).toThrow(told)
    expect(() => inspectKernel(text, 'main')).toThrow(why)
  })

  it('is computed in bounded time, however its constants nest', () => {
    const doubled = Array.from({ length: 100 }, (_, i) => `const A${i + 1} = array(A${i}, A${i});`)
    const structs = Array.from({ length: 100 }, (_, i) => `struct S${i + 1} { a: S${i}, b: S${i} }`)
    const deep = Array.from(
      { length: 118 },
      (_, i) => `const C${i + 1} = ${'-('.repeat(100)}C${i}${')'.repeat(100)};`,
    )
    const texts = [
      kernel(`const A0 = 1; ${doubled.join('')}`, '', `A100${'[0]'.repeat(100)}`),
      kernel(`struct S0 { a: u32 } ${structs.join('')}`, '', `S100()${'.a'.repeat(101)}`),
      kernel(`const C0 = 1; ${deep.join('')}`, '', 'C118'),
      kernel('', '', 'array<array<array<u32, 1000>, 1000>, 1000>()[0][0][0]'),
    ]
    for (const text of texts) {
      const refusal = expect.objectContaining({
        code: expect.stringMatching(/^(invalid|too_large)/),
      })
      try {
        inspectKernel(text, 'main')
      } catch (error) {
        expect(error).toEqual(refusal)
      }
    }
  })
})

describe('a kernel with other functions', () => {
  const text = `
fn times(n: u32, k: u32) -> u32 { var s = 0u; for (var i = 0u; i < k; i++) { s += n; } return s; }
@vertex
fn vs(@builtin(vertex_index) i: u32) -> @builtin(position) vec4f {
  return vec4f(f32(times(i, 3u))); // a comment that goes, too
}
fn unused(a: array<u32, 2000>) { loop { unused(a); } }
@compute @workgroup_size(16) fn main(@builtin(global_invocation_id) g: vec3u) { let x = times(g.x, 5u); }
@compute @workgroup_size(16) fn other() { while true {} }`

  it('is metered only where the entry point reaches, and keeps every line and column', () => {
    const { functions, source } = inspectKernel(text, 'main')
    expect(functions.map(({ declaration }) => declaration.name)).toEqual(['times', 'main'])
    expect(source).not.toMatch(/vertex|vs|unused|other/)
    expect(source.length).toBe(text.length)
    for (const [index, line] of source.split('\n').entries())
      expect(['', text.split('\n')[index]]).toContain(line.trimEnd())
  })

  it.each([
    ['vs', 'no @compute entry point vs; there are: main, other'],
    ['nothing', 'no @compute entry point nothing'],
  ])('is refused when %s is not its compute entry point', (name, why) => {
    expect(() => inspectKernel(text, name)).toThrow(why)
  })

  it.each([
    ['fn a() {}\nfn a() {}', 'line 2: a is declared twice'],
    ['\nfn u32() {}', 'line 2: u32 may not'],
    ['\n\nfn f() { f(); }\n@compute @workgroup_size(1) fn main() { f(); }', 'line 3: function f'],
    [
      '\n@compute @workgroup_size(16, 32) fn main() {}',
      'line 2: the workgroup has 512 invocations',
    ],
    [
      '\n@compute @workgroup_size(1) fn main() {\n var a: array<u32, 2000>; }',
      'line 3: a value has',
    ],
    [
      '\nvar<workgroup> w: array<u32, 5000>;\n@compute @workgroup_size(1) fn main() { w[0] = 1; }',
      'line 2: the kernel has 5000 words of workgroup memory',
    ],
  ])('is refused with its line: %s', (source, why) => {
    expect(() => inspectKernel(source, 'main')).toThrow(why)
  })
})
