/** Says why a file could not be read or written, in words that follow the file's name. */

const FAULTS: Readonly<Record<string, string>> = {
  ENOENT: 'is not there',
  EISDIR: 'is a folder',
  ENOTDIR: 'lies below a file, not a folder',
  EACCES: 'may not be opened by this user',
  EPERM: 'may not be opened by this user',
}

/** @param error what the file system threw */
export function fileFault(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : ''
  return FAULTS[String(code)] ?? `cannot be used (${String(code) || 'unknown fault'})`
}
