/** Remembers the results of pure functions. */

/** Remembers by text, at most `most` results; then it starts afresh. */
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

/** Remembers by object for as long as the object lives. The objects must never be changed. */
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
