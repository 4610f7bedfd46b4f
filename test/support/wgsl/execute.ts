/** Runs strangers' kernels on an engine one after the other, and checks that it still works. */
import type { Engine } from '#engine/engine.ts'
import { errorCode } from '#shared/base/errors.ts'
import { runJob } from '#test/support/engine/run-job.ts'
import { kernelJob } from '#test/support/engine/engine-jobs.ts'
import { until } from '../poll.ts'
import { generateKernel, mutateKernel } from './generate.ts'
import { GRAMMAR } from './grammar.ts'
import { HOSTILE_TO_READ, HOSTILE_TO_RUN } from './hostile.ts'

interface NamedKernel {
  readonly name: string
  readonly wgsl: string
}

/** Seed of the first generated kernel; the soak uses others. */
const FIRST_EXECUTED = 50_000 + Number(process.env.LITTORAL_FUZZ_SEED ?? 0)

/** Every hostile kernel, and generated ones, endless or mutated. */
export function executedKernels(count: number): NamedKernel[] {
  const hostile = Object.entries({ ...HOSTILE_TO_RUN, ...HOSTILE_TO_READ })
  const corpus = [...Object.values(HOSTILE_TO_RUN), ...Object.values(GRAMMAR)]
  const made = Array.from({ length: Math.max(0, count - hostile.length) }, (_, index) => {
    const seed = FIRST_EXECUTED + index
    const own = generateKernel(seed, { isFinite: index % 4 === 0 })
    const base = corpus[index % corpus.length] ?? own
    const wgsl = index % 2 === 0 ? own : mutateKernel(base, own, 2 * seed)
    return { name: `seed ${seed}`, wgsl }
  })
  return [...hostile.map(([name, wgsl]) => ({ name, wgsl })), ...made]
}

export interface ExecutionReport {
  readonly outcomes: ReadonlyMap<string, number>
  /** Kernels that were killed with their process or device because the machine had become slower. Another process takes over. */
  readonly ended: readonly string[]
  readonly longestMs: number
  readonly summary: object
}

/** Errors with which a stranger's kernel may end. */
const ENDS = ['no_capacity', 'too_large', 'invalid_request']
/** Allowed overruns of the time limit in a hundred kernels, on a machine with other load. */
export const OVERRUNS_PER_HUNDRED = 2

/** Writes 42 into a buffer of one word. */
export const PROBE = `@group(0) @binding(0) var<storage, read_write> o: array<u32>;
@compute @workgroup_size(1) fn main() { o[0] = 41u + arrayLength(&o); }`

/** @throws when the engine fails a plain kernel at the end, or gives a wrong answer */
export async function executeKernels(
  engine: Engine,
  kernels: readonly NamedKernel[],
): Promise<ExecutionReport> {
  const outcomes = new Map<string, number>()
  const ended: string[] = []
  const slow: { readonly name: string; readonly ms: number }[] = []
  for (const { name, wgsl } of kernels) {
    const startedMs = performance.now()
    const outcome = await runJob(
      engine,
      kernelJob({
        wgsl,
        workgroups: [4, 1, 1],
        buffers: [{ sizeBytes: 4_096 }, { sizeBytes: 4_096, access: 'read', return: false }],
      }),
    ).then(
      () => 'answered',
      (error: unknown) => {
        const code = errorCode(error) ?? String(error)
        // An expected outcome is counted by its code, an unexpected one by its whole text.
        return ENDS.includes(code) ? code : String(error)
      },
    )
    slow.push({ name, ms: Math.round(performance.now() - startedMs) })
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    if (outcome === 'answered' || ENDS.includes(outcome)) continue
    ended.push(`${name}: ${outcome}`)
    await until(`an engine after ${name}`, () => serves(engine))
  }
  if (!(await serves(engine))) throw new Error('the engine does not serve on')
  const slowest = slow.toSorted((a, b) => b.ms - a.ms).slice(0, 5)
  const longestMs = slowest[0]?.ms ?? 0
  return {
    outcomes,
    ended,
    longestMs,
    summary: { ...Object.fromEntries(outcomes), slowest },
  }
}

async function serves(engine: Engine): Promise<boolean> {
  try {
    const probe = await runJob(engine, kernelJob({ wgsl: PROBE, buffers: [{ sizeBytes: 4 }] }))
    return new Uint32Array(probe.bytes.slice().buffer)[0] === 42
  } catch {
    return false
  }
}
