/** Finds the tokens that an automaton accepts. All are walked once a state, and common beginnings are shared. */
import type { TokenMask } from './sample.ts'
import type { Vocabulary } from './vocabulary.ts'

/** Tokens in byte order, and how many bytes each shares with the previous one. */
export type SortedTokens = ReturnType<typeof sortTokens>

export function sortTokens(vocabulary: Vocabulary, wanted: (bytes: Uint8Array) => boolean) {
  const tokens: { readonly id: number; readonly bytes: Uint8Array }[] = []
  for (let id = 0; id < vocabulary.size; id++) {
    const bytes = vocabulary.bytesOf(id)
    if (bytes.length > 0 && wanted(bytes)) tokens.push({ id, bytes })
  }
  tokens.sort((a, b) => compare(a.bytes, b.bytes))
  return {
    ids: Int32Array.from(tokens, ({ id }) => id),
    shared: Uint16Array.from(tokens, ({ bytes }, i) =>
      sharedLength(tokens[i - 1]?.bytes ?? new Uint8Array(), bytes),
    ),
    pieces: tokens.map(({ bytes }) => bytes),
  }
}

/** Sets the bit of every token that `step` accepts from `start`. */
export function addTaken<S>(
  mask: TokenMask,
  { ids, shared, pieces }: SortedTokens,
  { start, step }: { readonly start: S; readonly step: (state: S, byte: number) => S | undefined },
): void {
  const states: (S | undefined)[] = [start]
  /** Index of the refused byte that the tokens now skipped share. */
  let refusedAt = Infinity
  let known = 0
  for (const [index, bytes] of pieces.entries()) {
    const same = shared[index] ?? 0
    if (same > refusedAt) continue
    let at = Math.min(same, known)
    let state = states[at]
    while (at < bytes.length && state !== undefined) {
      state = step(state, bytes[at] ?? 0)
      if (state === undefined) break
      at += 1
      states[at] = state
    }
    known = at
    refusedAt = state === undefined ? at : Infinity
    if (state === undefined) continue
    const id = ids[index] ?? 0
    mask[id >>> 5] = (mask[id >>> 5] ?? 0) | (1 << (id & 31))
  }
}

function sharedLength(a: Uint8Array, b: Uint8Array): number {
  const most = Math.min(a.length, b.length)
  for (let i = 0; i < most; i++) if (a[i] !== b[i]) return i
  return most
}

function compare(a: Uint8Array, b: Uint8Array): number {
  const same = sharedLength(a, b)
  return (a[same] ?? -1) - (b[same] ?? -1)
}
