/** A causal language model on ONNX Runtime: prefill in pieces, then one token a run. Keys and values stay between runs. */
import { z } from 'zod'
import { AppError, invariant } from '#shared/base/errors.ts'
import { cancelled } from '#shared/base/deadline.ts'
import { createPieces, type Pieces } from '#engine/pace/pieces.ts'
import {
  readFloats,
  type Feed,
  type InputInfo,
  type RuntimeSession,
  type SessionTensor,
} from '#engine/runtime/runtime-session.ts'

/** The part of a transformers `config.json` that determines the cache's shape. */
export const DecoderConfig = z.looseObject({
  num_hidden_layers: z.int().min(1).max(256),
  num_attention_heads: z.int().min(1).max(1024),
  num_key_value_heads: z.int().min(1).max(1024).optional(),
  hidden_size: z.int().min(1).max(65_536),
  head_dim: z.int().min(1).max(4_096).nullish(),
  vocab_size: z.int().min(1).max(1_048_576),
  max_position_embeddings: z.int().min(1).optional(),
  eos_token_id: z.union([z.int(), z.array(z.int()).max(16)]).nullish(),
})
export type DecoderConfig = z.infer<typeof DecoderConfig>

/** One text in progress. `dispose` frees what it keeps on the device. */
export type Sequence = ReturnType<typeof startSequence>

export type Decoder = ReturnType<typeof createDecoder>

/** Most logits of one run; all but the last row are discarded. */
const MAX_LOGITS = 1 << 23
const MAX_PREFILL_TOKENS = 512
/** Size of the first piece on a GPU, and the number of runs that adjust it. */
const GPU_PREFILL_TOKENS = 64
const LEARNING_RUNS = 32

/** Outputs that only feed the next run: let them stay on the device. */
export function cacheOutputs(config: DecoderConfig): string[] {
  return cacheNames(config).map(({ output }) => output)
}

/**
 * @param now given where a GPU computes: prompts are then read in short pieces. On a CPU, stopping a job ends its
 * process
 * @throws {AppError} internal for a graph with inputs that a text generator does not provide
 */
export function createDecoder(session: RuntimeSession, config: DecoderConfig, now?: () => number) {
  const inputs = new Map(session.inputs.map((info) => [info.name, info]))
  const caches = cacheNames(config)
  const known = new Set(['input_ids', 'attention_mask', 'position_ids', 'num_logits_to_keep'])
  for (const { input } of caches) known.add(input)
  for (const name of inputs.keys())
    if (!known.has(name))
      throw new AppError('internal', `The graph needs an input ${name}, which is unknown here.`)
  for (const { input, output } of caches)
    if (!inputs.has(input) || !session.outputNames.includes(output))
      throw new AppError('internal', `The graph has no ${input} and ${output}.`)
  const most = mostTokens(config, inputs)
  const pieces =
    now === undefined
      ? createPieces({ first: most, most, learns: 0, now: () => 0 })
      : createPieces({ first: GPU_PREFILL_TOKENS, most, learns: LEARNING_RUNS, now })
  const graph: Graph = { session, inputs, caches, empty: emptyCache(config, inputs), pieces }
  return { start: () => startSequence(graph) }
}

interface CacheName {
  readonly input: string
  readonly output: string
}

interface Graph {
  readonly session: RuntimeSession
  readonly inputs: ReadonlyMap<string, InputInfo>
  readonly caches: readonly CacheName[]
  readonly empty: Readonly<Record<string, Feed>>
  readonly pieces: Pieces
}

function cacheNames({ num_hidden_layers: layers }: DecoderConfig): CacheName[] {
  return Array.from({ length: layers }, (_, layer) =>
    (['key', 'value'] as const).map((part) => ({
      input: `past_key_values.${layer}.${part}`,
      output: `present.${layer}.${part}`,
    })),
  ).flat()
}

/** Makes a tensor `[1, kv heads, 0, head size]` for every cache input, in the graph's type. */
function emptyCache(
  config: DecoderConfig,
  inputs: ReadonlyMap<string, InputInfo>,
): Record<string, Feed> {
  const heads = config.num_key_value_heads ?? config.num_attention_heads
  const headSize = config.head_dim ?? config.hidden_size / config.num_attention_heads
  const dims = [1, heads, 0, headSize]
  return Object.fromEntries(
    cacheNames(config).map(({ input }) => {
      const type = inputs.get(input)?.type
      if (type === 'float16') return [input, { type, data: new Uint16Array(), dims }]
      if (type === 'float32') return [input, { type, data: new Float32Array(), dims }]
      throw new AppError(
        'internal',
        `The graph keeps ${input} as ${type}; float32 or float16 is supported.`,
      )
    }),
  )
}

function mostTokens(config: DecoderConfig, inputs: ReadonlyMap<string, InputInfo>): number {
  if (inputs.has('num_logits_to_keep')) return MAX_PREFILL_TOKENS
  return Math.max(1, Math.min(MAX_PREFILL_TOKENS, Math.floor(MAX_LOGITS / config.vocab_size)))
}

function startSequence(graph: Graph) {
  let past: Readonly<Record<string, Feed | SessionTensor>> = graph.empty
  let length = 0
  const step = async (ids: readonly number[]): Promise<Float32Array> => {
    const outputs = await graph.session.run({ ...past, ...tokenFeeds(graph, ids, length) })
    disposeAll(past)
    past = Object.fromEntries(
      graph.caches.map(({ input, output }) => {
        const tensor = outputs[output]
        invariant(tensor !== undefined, 'createDecoder saw this output')
        return [input, tensor]
      }),
    )
    length += ids.length
    const logits = await readFloats(outputs['logits'])
    const vocabulary = logits.dims[2] ?? 0
    return logits.data.subarray(logits.data.length - vocabulary)
  }
  return {
    /** Takes the next tokens and returns the logits `[vocab]` after the last one. @throws {AppError} cancelled */
    async feed(ids: readonly number[], signal: AbortSignal): Promise<Float32Array> {
      let logits = new Float32Array()
      for (let at = 0; at < ids.length;) {
        if (signal.aborted) throw cancelled()
        const piece = ids.slice(at, at + graph.pieces.size())
        // The time of a single token says nothing about a prompt's.
        const run = () => step(piece)
        logits = new Float32Array(
          await (piece.length === 1 ? run() : graph.pieces.time(piece.length, run)),
        )
        at += piece.length
      }
      return logits
    },
    dispose() {
      disposeAll(past)
      past = graph.empty
      length = 0
    },
  }
}

function tokenFeeds({ inputs }: Graph, ids: readonly number[], past: number): Record<string, Feed> {
  const dims = [1, ids.length]
  const feeds: Record<string, Feed> = {
    input_ids: { type: 'int64', data: BigInt64Array.from(ids, BigInt), dims },
    attention_mask: {
      type: 'int64',
      data: new BigInt64Array(past + ids.length).fill(1n),
      dims: [1, past + ids.length],
    },
    position_ids: {
      type: 'int64',
      data: BigInt64Array.from(ids, (_, index) => BigInt(past + index)),
      dims,
    },
    num_logits_to_keep: { type: 'int64', data: BigInt64Array.of(1n), dims: [] },
  }
  return Object.fromEntries(Object.entries(feeds).filter(([name]) => inputs.has(name)))
}

function disposeAll(tensors: Readonly<Record<string, Feed | SessionTensor>>): void {
  for (const tensor of Object.values(tensors)) if ('location' in tensor) release(tensor)
}

/**
 * Frees a tensor's memory at once. The runtime allocates it outside of V8's heap, where it would wait for a major
 * collection. With a cache a token, one would run every few dozen tokens and cost as much as the model.
 */
function release(tensor: SessionTensor): void {
  const data: unknown = tensor.location === 'cpu' ? tensor.data : undefined
  tensor.dispose()
  if (!ArrayBuffer.isView(data)) return
  const { buffer, byteLength } = data
  // A view into a larger buffer, such as WebAssembly's memory, is not ours to detach.
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0)
}
