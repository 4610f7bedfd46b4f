/** A repetition that lasts until its processes have used enough CPU time: the kernel counts it in steps of 10 ms. */
import { cpuMsOf } from '../harness/cpu-time.ts'
import type { Contender, Timed } from '../harness/harness.ts'

/** CPU time of a repetition: fifty steps of the count, so that one step more or less changes it by 2 %. */
export const LEAST_CPU_MS = 500
/** Calls between two looks at the count. */
export const CALLS_BETWEEN = 50
/** A repetition without a count, where there is no /proc. */
export const CALLS_UNCOUNTED = 500

export interface Repetition<T> {
  readonly inFlight: number
  readonly pids: readonly number[]
  /** One call. @param lane number of the one that makes it, below `inFlight` */
  readonly once: (lane: number) => Promise<T>
  /** Milliseconds that were computed for an answer, where that is known. */
  readonly computeMs?: (answer: T) => number
}

export function contenderOf<T>(name: string, repetition: Repetition<T>): Contender {
  const { computeMs } = repetition
  return {
    name,
    async run() {
      const { calls, cpuMs } = await repeat(repetition)
      return {
        latencyMs: calls.map(({ ms }) => ms),
        ...(computeMs === undefined
          ? {}
          : { latencyLessComputeMs: calls.map(({ ms, value }) => ms - computeMs(value)) }),
        cpuMs: cpuMs === undefined ? [] : [cpuMs / calls.length],
      }
    },
  }
}

/** @returns all calls, and the CPU time of the processes meanwhile */
export async function repeat<T>(
  { inFlight, pids, once }: Pick<Repetition<T>, 'inFlight' | 'pids' | 'once'>,
  readCpuMs: typeof cpuMsOf = cpuMsOf,
): Promise<{ readonly calls: readonly Timed<T>[]; readonly cpuMs: number | undefined }> {
  const startMs = readCpuMs(pids)
  const usedMs = () => {
    const nowMs = readCpuMs(pids)
    return nowMs === undefined || startMs === undefined ? undefined : nowMs - startMs
  }
  const calls: Timed<T>[] = []
  let isEnough = false
  const look = () => {
    if (calls.length % CALLS_BETWEEN !== 0) return
    const used = usedMs()
    isEnough = used === undefined ? calls.length >= CALLS_UNCOUNTED : used >= LEAST_CPU_MS
  }
  const work = async (lane: number) => {
    while (!isEnough) {
      const startedMs = performance.now()
      const value = await once(lane)
      calls.push({ ms: performance.now() - startedMs, value })
      look()
    }
  }
  await Promise.all(Array.from({ length: inFlight }, (_, lane) => work(lane)))
  return { calls, cpuMs: usedMs() }
}
