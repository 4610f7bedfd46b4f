/** Watches the resident memory of a child process; it works only on systems with /proc. */
import { readFile } from 'node:fs/promises'

const EVERY_MS = 250
const PAGE_BYTES = 4096

/** Calls `onOver` once when the resident set exceeds the limit. @returns a function that stops the watch */
export function watchMemory(pid: number, limitBytes: number, onOver: () => void): () => void {
  const timer = setInterval(() => {
    void residentBytes(pid).then((bytes) => {
      if (bytes <= limitBytes) return
      clearInterval(timer)
      onOver()
    })
  }, EVERY_MS)
  timer.unref()
  return () => clearInterval(timer)
}

/** Second field of statm, in pages: https://man7.org/linux/man-pages/man5/proc_pid_statm.5.html */
async function residentBytes(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/statm`, 'utf8').catch(() => '0 0')
  return Number(text.split(' ')[1]) * PAGE_BYTES
}
