/** A tokenizer for generation: text to ids, and the exact bytes of each id. */
import { Tokenizer } from '@huggingface/tokenizers'
import { z } from 'zod'
import { AppError } from '#shared/base/errors.ts'

const TokenizerFile = z.looseObject({
  model: z.looseObject({
    type: z.string().optional(),
    vocab: z.record(z.string(), z.int().min(0)),
  }),
  added_tokens: z
    .array(
      z.looseObject({ id: z.int().min(0), content: z.string(), special: z.boolean().optional() }),
    )
    .optional(),
  decoder: z.unknown().optional(),
})

export interface Vocabulary {
  /** One more than the largest id. */
  readonly size: number
  /** The bytes that a token adds to the text; empty for special and unused ids. */
  bytesOf(id: number): Uint8Array
  /** The token as people know it: `<|end|>` for a special one. */
  nameOf(id: number): string
  /**
   * @param withSpecial whether the tokenizer adds its special tokens, such as a first one
   * @param pointer where the text stands in the request
   * @throws {AppError} context_length_exceeded for a text longer than `maxTokens`
   */
  encode(
    text: string,
    options: {
      readonly withSpecial: boolean
      readonly maxTokens: number
      readonly pointer: string
    },
  ): number[]
}

const NOTHING = new Uint8Array()

/** @throws {AppError} internal for a tokenizer that is not byte-level BPE: its ids have no bytes of their own */
export function createVocabulary(tokenizerJson: string, configJson: string): Vocabulary {
  const json: unknown = JSON.parse(tokenizerJson)
  const file = TokenizerFile.parse(json)
  if (!isByteLevel(file.decoder))
    throw new AppError('internal', 'Only byte-level BPE tokenizers can write text here.')
  const tokenizer = new Tokenizer(json as object, JSON.parse(configJson) as object)
  const byteOf = byteAlphabet()
  const pieces: (Uint8Array | undefined)[] = []
  const names: (string | undefined)[] = []
  for (const [token, id] of Object.entries(file.model.vocab))
    pieces[id] = Uint8Array.from(token, (char) => byteOf.get(char) ?? 0)
  for (const { id, content, special = false } of file.added_tokens ?? []) {
    pieces[id] = special ? NOTHING : new TextEncoder().encode(content)
    names[id] = content
  }
  const longest = pieces.reduce((most, piece) => Math.max(most, piece?.length ?? 0), 1)
  // Added tokens may stand for more bytes than any piece.
  const longestPiece = Math.max(longest, ...names.map((name) => name?.length ?? 0))
  return {
    size: pieces.length,
    bytesOf: (id) => pieces[id] ?? NOTHING,
    nameOf: (id) => names[id] ?? new TextDecoder().decode(pieces[id] ?? NOTHING),
    encode(text, { withSpecial, maxTokens, pointer }) {
      const wellFormed = text.toWellFormed()
      if (wellFormed.length > maxTokens * longestPiece)
        throw tooLong(`at least ${Math.ceil(wellFormed.length / longestPiece)} tokens`, {
          maxTokens,
          pointer,
        })
      const { ids } = tokenizer.encode(wellFormed, { add_special_tokens: withSpecial })
      if (ids.length > maxTokens) throw tooLong(`${ids.length} tokens`, { maxTokens, pointer })
      return ids
    },
  }
}

function tooLong(
  size: string,
  { maxTokens, pointer }: { readonly maxTokens: number; readonly pointer: string },
): AppError {
  const detail = `The prompt has ${size}; this model takes at most ${maxTokens} tokens, so that one is left for the answer.`
  return new AppError('context_length_exceeded', detail, {
    meta: { errors: [{ pointer, detail }] },
  })
}

function isByteLevel(decoder: unknown): boolean {
  const parsed = z
    .looseObject({ type: z.string(), decoders: z.array(z.unknown()).max(16).optional() })
    .safeParse(decoder)
  if (!parsed.success) return false
  return parsed.data.type === 'ByteLevel' || (parsed.data.decoders ?? []).some(isByteLevel)
}

/** Characters that stand for bytes in a byte-level vocabulary: printable ones for themselves, the rest from 256 up. */
function byteAlphabet(): Map<string, number> {
  const isPrintable = (byte: number) =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255)
  const alphabet = new Map<string, number>()
  let next = 256
  for (let byte = 0; byte < 256; byte++)
    alphabet.set(String.fromCodePoint(isPrintable(byte) ? byte : next++), byte)
  return alphabet
}
