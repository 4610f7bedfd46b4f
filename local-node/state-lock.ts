/** Allows one process per state folder: two nodes with one identity, or two workerds on one database, would conflict. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { AppError } from '#shared/base/errors.ts'

const LOCK_FILE = 'state.lock'
const OWNER_FILE = 'state.pid'

/**
 * Locks the folder for this process until it ends. SQLite's lock belongs to the operating system, so a crash frees it.
 * @returns unlocks the folder
 * @throws {AppError} invalid_request naming the folder and the process that holds it
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
