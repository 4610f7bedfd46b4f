/** Remembers what a pure function gave, for a bounded number of inputs; at the bound it starts afresh. */

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
