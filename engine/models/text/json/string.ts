/** Reads the inside of a JSON string byte by byte, in valid UTF-8. */

export interface StringState {
  readonly id: string
  /** Bytes of a character or digits of an escape that must follow. */
  readonly left: number
  readonly kind: 'plain' | 'escape' | 'hex' | 'character'
  /** Bounds of the next byte of a character, which exclude invalid UTF-8. */
  readonly low: number
  readonly high: number
}

export const STRING_START: StringState = state('plain', 0)

const ESCAPE = state('escape', 1)
const HEX = [1, 2, 3, 4].map((left) => state('hex', left))
/** States after the first byte of a character. https://www.unicode.org/versions/Unicode16.0.0/core-spec/chapter-3/#G27506 */
const LEADS = new Map<number, StringState>()
for (let byte = 0xc2; byte <= 0xdf; byte++) LEADS.set(byte, state('character', 1))
for (let byte = 0xe0; byte <= 0xef; byte++) LEADS.set(byte, state('character', 2))
for (let byte = 0xf0; byte <= 0xf4; byte++) LEADS.set(byte, state('character', 3))
LEADS.set(0xe0, state('character', 2, [0xa0, 0xbf]))
LEADS.set(0xed, state('character', 2, [0x80, 0x9f]))
LEADS.set(0xf0, state('character', 3, [0x90, 0xbf]))
LEADS.set(0xf4, state('character', 3, [0x80, 0x8f]))
const CONTINUATIONS = [STRING_START, state('character', 1), state('character', 2)]
const ESCAPED = new Set(new TextEncoder().encode('"\\/bfnrt'))

/** `end` after the closing quote; undefined when the byte is not allowed. */
export function stepString(at: StringState, byte: number): StringState | 'end' | undefined {
  switch (at.kind) {
    case 'plain':
      if (byte === 0x22) return 'end'
      if (byte === 0x5c) return ESCAPE
      if (byte < 0x20) return undefined
      return byte < 0x80 ? STRING_START : LEADS.get(byte)
    case 'escape':
      if (byte === 0x75) return HEX[3]
      return ESCAPED.has(byte) ? STRING_START : undefined
    case 'hex':
      if (!isHexDigit(byte)) return undefined
      return at.left === 1 ? STRING_START : HEX[at.left - 2]
    case 'character':
      return byte >= at.low && byte <= at.high ? CONTINUATIONS[at.left - 1] : undefined
  }
}

function isHexDigit(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66)
}

function state(
  kind: StringState['kind'],
  left: number,
  [low, high]: readonly [number, number] = [0x80, 0xbf],
): StringState {
  return { id: `${kind}${left}.${low}.${high}`, kind, left, low, high }
}
