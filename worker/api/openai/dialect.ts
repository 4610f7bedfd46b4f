/** Parts of every text answer, whole or streamed, in chat or completions. */
import { sha256, stringToBytes } from 'viem'
import { z } from 'zod'
import { Bytes32, NodeId } from '#shared/base/ids.ts'
import { PROVIDERS } from '#shared/job/job.ts'
import { countryCode } from '#shared/law/region.ts'
import type { TextDelta, TextEnd } from '#shared/job/text.ts'
import type { DispatchOutcome } from '#worker/protocols/hub.ts'

/** Littoral's member of an answer: the headers of a stream are sent before its receipt exists. */
export const LittoralMember = z.strictObject({
  /** Id of the receipt: `GET /v1/receipts/{id}`. */
  receipt: Bytes32,
  node: NodeId,
  /** ISO 3166-1 alpha-2. */
  region: z.string(),
  /** Same as `x-littoral-evidence`: `observed; source=edge`. */
  evidence: z.string(),
  provider: z.enum(PROVIDERS),
})
export type LittoralMember = z.infer<typeof LittoralMember>

const TextUsage = z.strictObject({
  /** Counted by the node's tokenizer; not used for billing. */
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
  total_tokens: z.int(),
})
type TextUsage = z.infer<typeof TextUsage>

export const FinishReason = z.enum(['stop', 'length'])

export function writeHead<T extends string>(
  { jobId, createdSeconds, model }: TextAbout,
  prefix: 'chatcmpl' | 'cmpl',
  object: T,
) {
  return { id: `${prefix}-${jobId}`, object, created: createdSeconds, model }
}

const headOf = <T extends string>(object: T) => ({
  id: z.string(),
  object: z.literal(object),
  created: z.int(),
  model: z.string(),
})

/** The schema of a whole answer. */
export function wholeOf<T extends string, C extends z.ZodType>(object: T, choice: C) {
  return z.strictObject({
    ...headOf(object),
    choices: z.tuple([choice]),
    usage: TextUsage,
    system_fingerprint: z.string(),
    littoral: LittoralMember,
  })
}

/** The schema of one `data:` line of a stream. */
export function chunkOf<T extends string, C extends z.ZodType>(object: T, choice: C) {
  return z.strictObject({
    ...headOf(object),
    choices: z.array(choice).max(1),
    /** Only with `stream_options.include_usage`: null until the last chunk. */
    usage: TextUsage.nullish(),
    /** On the last chunks, because the provider is known only then. */
    system_fingerprint: z.string().optional(),
    /** On the last chunk. */
    littoral: LittoralMember.optional(),
  })
}

/** Common to all chunks of one answer. */
export interface TextAbout {
  readonly jobId: string
  readonly createdSeconds: number
  readonly model: string
  /** True if chunks have a `usage` member, filled in the last. */
  readonly includeUsage: boolean
}

/** Known once the job is done and its receipt exists. */
export interface TextClose {
  readonly end: TextEnd
  readonly usage: TextUsage
  readonly fingerprint: string
  readonly littoral: LittoralMember
}

/** Writes one streamed answer. */
export interface TextChunks {
  begin(): object[]
  delta(delta: TextDelta): object[]
  end(close: TextClose): object[]
}

export interface TextDialect {
  whole(about: TextAbout, deltas: readonly TextDelta[], close: TextClose): object
  chunks(about: TextAbout): TextChunks
}

export function closeText(
  outcome: Pick<DispatchOutcome, 'receiptId' | 'nodeId' | 'place' | 'answer'>,
  digest: Bytes32,
  answer: { readonly end: TextEnd; readonly tokens: number },
): TextClose {
  const { provider, adapter } = outcome.answer
  const { promptTokens } = answer.end
  return {
    end: answer.end,
    usage: {
      prompt_tokens: promptTokens,
      completion_tokens: answer.tokens,
      total_tokens: promptTokens + answer.tokens,
    },
    fingerprint: fingerprint(digest, provider, adapter.name),
    littoral: littoralMember(outcome),
  }
}

export function littoralMember({
  receiptId,
  nodeId,
  place,
  answer,
}: Pick<DispatchOutcome, 'receiptId' | 'nodeId' | 'place' | 'answer'>): LittoralMember {
  return {
    receipt: receiptId,
    node: nodeId,
    region: countryCode(place.country),
    evidence: `${place.evidence}; source=${place.source}`,
    provider: answer.provider,
  }
}

export function wholeEnd({ usage, fingerprint, littoral }: TextClose) {
  return { usage, system_fingerprint: fingerprint, littoral }
}

/** The last chunks: the finish, then the usage if requested. The very last has the `littoral` member. */
export function lastChunks(
  about: TextAbout,
  close: TextClose,
  finish: Readonly<Record<string, unknown>>,
): object[] {
  const { usage, fingerprint: system_fingerprint, littoral } = close
  if (!about.includeUsage) return [{ ...finish, system_fingerprint, littoral }]
  return [
    { ...finish, system_fingerprint },
    { ...finish, choices: [], usage, system_fingerprint, littoral },
  ]
}

/** Changes when equal seeds may give another text: with the model's files, the provider or the adapter. */
function fingerprint(digest: Bytes32, provider: string, adapter: string): string {
  return `fp_${sha256(stringToBytes(`${digest}\n${provider}\n${adapter}`)).slice(2, 14)}`
}
