/** Sizes that a kernel writes as constant expressions: nothing weighs less here than what the compiler makes of it. */
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
    // u32 wraps: 1,000 and 1,022.
    'const N = 4u - 4294967295u + 995u;',
    'const N = (0u - 1u) / 4200000u;',
    'const N = max(0u - 1u, 1u) % 1000u;',
    'const N = u32(-1i) - 4294966295u;',
    'const N = (65536u * 65536u) + 1000u;',
  ])('is refused where 32 bits would wrap: %s', (constants) => {
    expect(() => inspectKernel(kernel(constants), 'main')).toThrow('a size that is not known')
  })

  it('is that of the constant in the function, where the module has one of the same name', () => {
    const weightOf = (constants: string, inside: string) =>
      inspectKernel(kernel(constants, inside), 'main').functions[0]?.loops[0]?.weight ?? 0
    expect(weightOf('const N = 1u;', 'const N = 1000u;')).toBeGreaterThan(2_000)
    expect(weightOf('const N = 1000u;', 'const N = 1u;')).toBeLessThan(200)
    expect(weightOf('', 'const M = 500u; const N = M * 2u;')).toBeGreaterThan(2_000)
    // What is no constant has no size, whatever the module says.
    expect(() => weightOf('const N = 1u;', 'let N = 1000u;')).toThrow('a size that is not known')
  })

  it('is never below zero', () => {
    const text = kernel('', '', '-1')
    expect(() => inspectKernel(text, 'main')).toThrow('a size that is not known')
  })
})
