/** Insertions into a kernel's text that move no line. */

export interface Edit {
  readonly at: number
  readonly text: string
}

export function applyEdits(source: string, edits: readonly Edit[]): string {
  let text = ''
  let at = 0
  for (const edit of edits.toSorted((a, b) => a.at - b.at)) {
    text += source.slice(at, edit.at) + edit.text
    at = edit.at
  }
  return text + source.slice(at)
}
