/** A kernel of 2 KB that a software adapter's compiler goes through way by way: twice as long with each branch. */
import { kernelJob, type Job } from '#test/support/engine/engine-jobs.ts'

/** Branches that take the compiler a while, and that are still taken. */
export const SLOW = 18
/** How more of them are refused. */
export const REFUSAL = { code: 'no_capacity', meta: { rule: 'kernels.budget' } }

/** @param turns makes another text of it */
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
