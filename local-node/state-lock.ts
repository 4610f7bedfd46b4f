/** One process a state folder: two nodes of one identity throw each other off the hub, two workerds spoil each other's databases. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { AppError } from '#shared/base/errors.ts'

const LOCK_FILE = 'state.lock'
const OWNER_FILE = 'state.pid'

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
      `The state folder ${folder} is in use by process ${owner.trim()}. End that one, or use another folder.`,
      { cause },
    )
  }
  await writeFile(join(folder, OWNER_FILE), `${process.pid}\n`, { mode: 0o600 })
  return () => lock.close()
}
