/** Takes a folder and all that is in it from every other user of this machine, whatever modes it had. */
import { chmod, lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** Follows no links: what they point at is not ours. */
export async function closeToOthers(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined || found.isSymbolicLink()) return
  // What was removed in the meantime needs no mode.
  if ((found.mode & 0o077) !== 0) await chmod(path, found.mode & 0o700).catch(ignoreMissing)
  if (!found.isDirectory()) return
  for (const name of await readdir(path).catch(() => [])) await closeToOthers(join(path, name))
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error
}
