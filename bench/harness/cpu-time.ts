/** CPU time of other processes: user and system time of all their threads since they started. */
import { readFileSync } from 'node:fs'

/** Most systems count in ticks of 1/100 s, so a repetition has to last for many of them. */
const TICK_MS = 10

/** Milliseconds of all these processes, or undefined where there is no /proc. */
export function cpuMsOf(pids: readonly number[]): number | undefined {
  try {
    return pids.map(readStatMs).reduce((sum, ms) => sum + ms, 0)
  } catch {
    return undefined
  }
}

/** Fields 14 and 15, utime and stime, which include threads that have ended: proc_pid_stat(5). */
function readStatMs(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS
}
