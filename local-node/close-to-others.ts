/** Removes other users' access to a folder and everything in it. */
import { chmod, lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** Does not follow links: their targets are not ours. */
export async function closeToOthers(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined || found.isSymbolicLink()) return
  // A file may have been removed meanwhile.
  if ((found.mode & 0o077) !== 0) await chmod(path, found.mode & 0o700).catch(ignoreMissing)
  if (!found.isDirectory()) return
  for (const name of await readdir(path).catch(() => [])) await closeToOthers(join(path, name))
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error
}
