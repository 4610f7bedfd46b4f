/** A kernel of 2 KB whose paths a software adapter's compiler visits one by one: each branch doubles its time. */
import { kernelJob, type Job } from '#test/support/engine/engine-jobs.ts'

/** Number of branches that compiles slowly and is still accepted. */
export const SLOW = 18
/** The refusal of more branches. */
export const REFUSAL = { code: 'no_capacity', meta: { rule: 'kernels.budget' } }

/** @param turns distinguishes texts */
export function compileBomb(branches: number, turns = 100): Job {
  const body = Array.from({ length: branches }, (_, n) => {
    const [a, b, c] = [n % 4, (n + 1) % 4, (n + 2) % 4].map((index) => `a${index}`)
    return `if (i % ${n + 2}u == 0u) { ${a} = ${b} + ${c}; } else { ${b} = ${c} - ${a}; }`
  })
  const wgsl = `@group(0) @binding(0) var<storage, read_write> out: array<u32>;
@compute @workgroup_size(64) fn main() {
  var a0 = out[0]; var a1 = out[1]; var a2 = out[2]; var a3 = out[3];
  for (var i = 0u; i < ${turns}u; i++) { ${body.join('\n')} }
  out[0] = a0; out[1] = a1; out[2] = a2; out[3] = a3;
}`
  return kernelJob({ wgsl, buffers: [{}] })
}
