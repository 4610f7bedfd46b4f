/** One node a state folder: two with one identity would throw each other off the hub, again and again. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { AppError } from '#shared/base/errors.ts'

const LOCK_FILE = 'node.lock'
const OWNER_FILE = 'node.pid'

/**
 * Takes the folder for this process until it ends, however it ends: SQLite's lock is the operating system's.
 * @returns what gives it back
 * @throws {AppError} invalid_request naming the folder and the process that has it
 */
export async function lockState(folder: string): Promise<() => void> {
  const lock = new DatabaseSync(join(folder, LOCK_FILE))
  try {
    lock.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE')
  } catch (cause) {
    lock.close()
    const owner = await readFile(join(folder, OWNER_FILE), 'utf8').catch(() => 'unknown')
    throw new AppError(
      'invalid_request',
      `--state ${folder} is in use by the node that runs as process ${owner.trim()}. End that one, or give this one another --state.`,
      { cause },
    )
  }
  await writeFile(join(folder, OWNER_FILE), `${process.pid}\n`, { mode: 0o600 })
  return () => lock.close()
}
