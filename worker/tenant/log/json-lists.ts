/** Lists of values for `json_each`. SQLite binds at most 2 MB, so long lists are cut. */

export interface JsonList {
  /** Index of the list's first value among all. */
  readonly from: number
  readonly json: string
}

const LIST_CHARACTERS = 500_000

/** Each list has at least one value, and no more than that many characters unless one value has more. */
export function* jsonLists(values: readonly unknown[]): Generator<JsonList> {
  let [from, size] = [0, 0]
  let texts: string[] = []
  for (const [index, value] of values.entries()) {
    const text = JSON.stringify(value)
    if (texts.length > 0 && size + text.length > LIST_CHARACTERS) {
      yield { from, json: `[${texts.join(',')}]` }
      ;[from, size, texts] = [index, 0, []]
    }
    texts.push(text)
    size += text.length
  }
  if (texts.length > 0) yield { from, json: `[${texts.join(',')}]` }
}
