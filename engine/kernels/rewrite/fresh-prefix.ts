/** Finds a prefix for the names that are added to a kernel. */

const TAKEN = /^littoral(\d+)_/

/** No name in the kernel begins with this prefix and an underscore. One pass over the names suffices. */
export function freshPrefix(identifiers: ReadonlySet<string>): string {
  const taken = new Set<string | undefined>()
  for (const name of identifiers) taken.add(TAKEN.exec(name)?.[1])
  let serial = 0
  while (taken.has(String(serial))) serial += 1
  return `littoral${serial}`
}
