/** The beginning of the names that the meter adds to a kernel. */

const TAKEN = /^littoral(\d+)_/

/** Names that begin with it and an underscore occur nowhere in the kernel. A name takes one beginning at most: time goes with their number. */
export function freshPrefix(identifiers: ReadonlySet<string>): string {
  const taken = new Set<string | undefined>()
  for (const name of identifiers) taken.add(TAKEN.exec(name)?.[1])
  let serial = 0
  while (taken.has(String(serial))) serial += 1
  return `littoral${serial}`
}
