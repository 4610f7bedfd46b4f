/** Processes and their memory, read from /proc: proc_pid_status(5). */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

/** Resident set in MiB; NaN for a process that has ended, or where there is no /proc. */
export function residentMiB(pid: number): number {
  return statusMiB(pid, 'VmRSS')
}

/** Largest resident set since the process started, or since {@link resetPeak}. */
export function peakMiB(pid: number): number {
  return statusMiB(pid, 'VmHWM')
}

/** Does nothing where there is no /proc. */
export function resetPeak(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5')
  } catch {
    // The peak then covers the whole life of the process.
  }
}

function statusMiB(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const [, kib] = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(read(`/proc/${pid}/status`)) ?? []
  return Number(kib) / 1024
}

/** Ids of the child processes; none where there is no /proc. */
export function childrenOf(pid: number): number[] {
  return list(`/proc/${pid}/task`).flatMap((thread) =>
    read(`/proc/${pid}/task/${thread}/children`).split(' ').filter(Boolean).map(Number),
  )
}

export function descendantsOf(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)])
}

/** The command line, with spaces between the arguments. */
export function commandOf(pid: number): string {
  return read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ')
}

/** Says if the process has mapped a file with this name; only the engine process that runs models maps theirs. */
export function hasMapped(pid: number, name: string): boolean {
  return read(`/proc/${pid}/maps`).includes(name)
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}
