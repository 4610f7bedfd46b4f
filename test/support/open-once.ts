/** Opens a value once for all tests of a file. */
import { afterAll, beforeAll } from 'vitest'

/**
 * Opens a value before the file's tests and closes it after them, later ones first.
 * The result has the value's properties once the tests run, so read them only inside tests and hooks.
 */
export function openOnce<T extends object>(
  open: () => Promise<T>,
  close: (value: T) => unknown = () => {},
): T {
  const shown: Partial<T> = {}
  let opened: T | undefined
  beforeAll(async () => {
    opened = await open()
    Object.assign(shown, opened)
  })
  afterAll(async () => {
    if (opened !== undefined) await close(opened)
  })
  return shown as T
}
