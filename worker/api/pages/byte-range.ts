/** Serves one byte range of a body, so that a broken download can resume. */

export interface ByteRange {
  readonly start: number
  /** Exclusive. */
  readonly end: number
}

/**
 * Parses `bytes=100-` and `bytes=100-199`. Undefined without a range, or for one that may be
 * ignored (several, a suffix, other units). Null when it lies outside
 * (https://www.rfc-editor.org/rfc/rfc9110#section-14.2).
 */
export function parseRange(
  header: string | undefined,
  sizeBytes: number,
): ByteRange | null | undefined {
  const [, first, last] = /^bytes=(\d{1,15})-(\d{0,15})$/.exec(header ?? '') ?? []
  if (first === undefined) return undefined
  const start = Number(first)
  const end = last === '' || last === undefined ? sizeBytes : Math.min(sizeBytes, Number(last) + 1)
  return start < end ? { start, end } : null
}

export function sliceBody(
  body: ReadableStream<Uint8Array>,
  { start, end }: ByteRange,
): ReadableStream<Uint8Array> {
  let at = 0
  return body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(piece, controller) {
        const from = Math.max(0, start - at)
        const to = Math.min(piece.length, end - at)
        at += piece.length
        if (from < to) controller.enqueue(piece.subarray(from, to))
        if (at >= end) controller.terminate()
      },
    }),
  )
}
