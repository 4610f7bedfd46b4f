/** Sentence embeddings: tokenize, run, mean over the mask, unit length. */
import { faultsError } from '#shared/base/errors.ts'
import { Tokenizer } from '@huggingface/tokenizers'
import { decodeTexts } from '#shared/job/tensor.ts'
import { cancelled } from '#shared/base/deadline.ts'
import { createPieces } from '#engine/pace/pieces.ts'
import type { ModelRunner } from './runner.ts'
import {
  firstFloats,
  type FloatTensor,
  type RuntimeSession,
} from '#engine/runtime/runtime-session.ts'

/** Tokens in the first and in the largest run of a session, padding included. */
const FIRST_TOKENS = 64
const RUN_TOKENS = 32 * FIRST_TOKENS

export interface TokenizerFiles {
  readonly tokenizer: string
  readonly tokenizerConfig: string
}

export interface EmbeddingParts extends TokenizerFiles {
  readonly session: RuntimeSession
  /** Size of the model's position table; longer texts are refused. @default 64 */
  readonly contextTokens?: number | undefined
  readonly now: () => number
}

export function createEmbeddingRunner({
  session,
  contextTokens = FIRST_TOKENS,
  now,
  ...files
}: EmbeddingParts): ModelRunner {
  const encode = createEncoder(files)
  const pieces = createPieces({ first: FIRST_TOKENS, most: RUN_TOKENS, now })
  return {
    async run([texts], signal) {
      const rows = decodeTexts(texts?.bytes ?? new Uint8Array()).map((text, index) => {
        const ids = encode(text)
        const pointer = `/inputs/0/data/${index}`
        if (ids.length === 0) throw faultsError([{ pointer, detail: 'the text is empty' }])
        if (ids.length > contextTokens) {
          const detail = `the text has ${ids.length} tokens, and this model takes at most ${contextTokens}`
          throw faultsError([{ pointer, detail }], 'context_length_exceeded')
        }
        return ids
      })
      const vectors: Float32Array[] = []
      while (vectors.length < rows.length) {
        if (signal.aborted) throw cancelled()
        const piece = takeRows(rows, vectors.length, pieces.size())
        vectors.push(...(await pieces.time(tokensOf(piece), () => embed(session, piece))))
      }
      return [stack(vectors)]
    },
  }
}

export function createEncoder(files: TokenizerFiles): (text: string) => number[] {
  const tokenizer = new Tokenizer(
    JSON.parse(files.tokenizer) as object,
    JSON.parse(files.tokenizerConfig) as object,
  )
  return (text) => tokenizer.encode(text).ids
}

/** Takes as many rows as fit in `tokens` when each is as wide as the widest; at least one. */
function takeRows(rows: readonly number[][], from: number, tokens: number): readonly number[][] {
  let to = from + 1
  while (to < rows.length && tokensOf(rows.slice(from, to + 1)) <= tokens) to += 1
  return rows.slice(from, to)
}

function tokensOf(rows: readonly number[][]): number {
  return rows.length * Math.max(...rows.map((ids) => ids.length))
}

async function embed(session: RuntimeSession, rows: readonly number[][]): Promise<Float32Array[]> {
  const width = Math.max(...rows.map((ids) => ids.length))
  const ids = new BigInt64Array(rows.length * width)
  const mask = new BigInt64Array(rows.length * width)
  rows.forEach((row, index) =>
    row.forEach((id, column) => {
      ids[index * width + column] = BigInt(id)
      mask[index * width + column] = 1n
    }),
  )
  const dims = [rows.length, width]
  const outputs = await session.run({
    input_ids: { type: 'int64', data: ids, dims },
    attention_mask: { type: 'int64', data: mask, dims },
  })
  const hidden = await firstFloats(session, outputs)
  return rows.map((row, index) => pool(hidden, index, row.length))
}

/** Computes the mean of the first `tokens` rows of batch element `index` of `[batch, seq, width]`, scaled to length 1. */
function pool(hidden: FloatTensor, index: number, tokens: number): Float32Array {
  const [, seq = 0, width = 0] = hidden.dims
  const sum = new Float64Array(width)
  for (let token = 0; token < tokens; token++) {
    const start = (index * seq + token) * width
    for (let i = 0; i < width; i++) sum[i] = (sum[i] ?? 0) + (hidden.data[start + i] ?? 0)
  }
  const length = Math.hypot(...sum)
  return Float32Array.from(sum, (value) => (length > 0 ? value / length : 0))
}

function stack(vectors: readonly Float32Array[]) {
  const width = vectors[0]?.length ?? 0
  const all = new Float32Array(vectors.length * width)
  vectors.forEach((vector, index) => all.set(vector, index * width))
  return { shape: [vectors.length, width], bytes: new Uint8Array(all.buffer) }
}
