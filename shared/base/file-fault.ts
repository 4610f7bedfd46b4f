/** Says why a file could not be read or written, in words that follow the file's name. */

const FAULTS: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  EISDIR: 'is a folder',
  ENOTDIR: 'is below a file, not a folder',
  EACCES: 'cannot be opened by this user',
  EPERM: 'cannot be opened by this user',
}

/** @param error what the file system threw */
export function fileFault(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : ''
  return FAULTS[String(code)] ?? `cannot be used (${String(code) || 'unknown fault'})`
}
