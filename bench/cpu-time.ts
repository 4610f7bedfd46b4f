/** CPU time of another process: what the kernel has charged to all of its threads, user and system. */
import { readdirSync, readFileSync } from 'node:fs'

/** Milliseconds since the process began, or undefined where the kernel does not tell. */
export type ReadCpuMs = (pid: number) => number | undefined

/** Nanoseconds where schedstat is there; the ticks of `stat` are 10 ms each. */
export const readCpuMs: ReadCpuMs = (pid) => readSchedstatMs(pid) ?? readStatMs(pid)

/** First field: time spent on the CPU, https://docs.kernel.org/scheduler/sched-stats.html */
function readSchedstatMs(pid: number): number | undefined {
  try {
    const tasks = readdirSync(`/proc/${pid}/task`)
    const nanoseconds = tasks.map((task) =>
      Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]),
    )
    return nanoseconds.reduce((sum, ns) => sum + ns, 0) / 1e6
  } catch {
    return undefined
  }
}

/** Fields 14 and 15, utime and stime in ticks of 1/100 s: proc_pid_stat(5). */
function readStatMs(pid: number): number | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) * 10
  } catch {
    return undefined
  }
}

/** CPU time of all these processes, or undefined when one of them cannot be read. */
export function cpuMsOf(pids: readonly number[]): number | undefined {
  let sum = 0
  for (const pid of pids) {
    const ms = readCpuMs(pid)
    if (ms === undefined) return undefined
    sum += ms
  }
  return sum
}
