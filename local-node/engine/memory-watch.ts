/** Watches the resident memory of a child process; it works only on systems with /proc. */
import { readFileSync } from 'node:fs'

const EVERY_MS = 250
const PAGE_BYTES = 4096

/** Calls `onOver` once when the resident set exceeds the limit. @returns a function that stops the watch */
export function watchMemory(pid: number, limitBytes: number, onOver: () => void): () => void {
  const timer = setInterval(() => {
    if (residentBytes(pid) <= limitBytes) return
    clearInterval(timer)
    onOver()
  }, EVERY_MS)
  timer.unref()
  return () => clearInterval(timer)
}

/**
 * Second field of statm, in pages: https://man7.org/linux/man-pages/man5/proc_pid_statm.5.html. The kernel writes it
 * from memory, so a plain read takes a few µs; by way of another thread it would take four trips there and back.
 */
function residentBytes(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * PAGE_BYTES
  } catch {
    return 0
  }
}
