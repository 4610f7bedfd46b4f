/** Remembering what pure functions gave: by text, for a bounded number of them, or by object, for as long as it lives. */

/** At the bound it starts afresh. */
export function memoize<Value>(
  compute: (key: string) => Value,
  most: number,
): (key: string) => Value {
  const known = new Map<string, Value>()
  return (key) => {
    const before = known.get(key)
    if (before !== undefined) return before
    const value = compute(key)
    if (known.size >= most) known.clear()
    known.set(key, value)
    return value
  }
}

/** For objects that are values: one that is changed after its first use would be remembered as it was. */
export function memoizeByObject<Key extends object, Value>(
  compute: (key: Key) => Value,
): (key: Key) => Value {
  const known = new WeakMap<Key, Value>()
  return (key) => {
    const before = known.get(key)
    if (before !== undefined) return before
    const value = compute(key)
    known.set(key, value)
    return value
  }
}
