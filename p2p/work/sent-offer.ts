/** An offer as it comes over the wire, and the few forms that nearly all offers have. */
import type { z } from 'zod'
import { LIMITS } from '#shared/base/limits.ts'
import {
  flag,
  list,
  matches,
  members,
  oneOf,
  orNull,
  quickly,
  text,
  whole,
  word,
  type Test,
} from '#shared/base/quick-check.ts'
import { DATATYPE_BYTES } from '#shared/job/job.ts'
import {
  CompiledPolicy,
  EVIDENCE_CLASSES,
  EVIDENCE_SOURCES,
  NODE_TRUSTS,
} from '#shared/law/policy.ts'
import { JobOffer } from '#p2p/stream/messages.ts'

/** Null for a policy that the hub sent before on this stream, among the newest that both remember. */
export const SentOfferSchema = JobOffer.extend({ policy: CompiledPolicy.nullable() })
export type SentOffer = z.infer<typeof SentOfferSchema>

const tenant = matches(/^[a-z0-9][a-z0-9-]{0,31}$/)
const sizeBytes = whole(0, LIMITS.kernelTotalBytes)

const isTicket = members({
  jobId: matches(/^job_[0-9a-f]{32}$/),
  attempt: whole(1, 0xffff_ffff),
  hub: text(0, 64),
  nodeId: matches(/^[1-9A-HJ-NP-Za-km-z]{20,80}$/),
  tenant,
  policyHash: word,
  allowed: word,
  place: members({
    country: whole(0, 255),
    evidence: oneOf(EVIDENCE_CLASSES),
    source: oneOf(EVIDENCE_SOURCES),
    trust: oneOf(NODE_TRUSTS),
    voucher: orNull(tenant),
    possible: word,
    evidenceHash: word,
  }),
  workDigest: word,
  inputCommitment: word,
  units: whole(0),
  priceMicroUsd: whole(0),
  issuedAtMs: whole(0),
  expiresAtMs: whole(0),
})

const inputs = list(
  members({
    name: text(1, 128),
    datatype: oneOf(Object.keys(DATATYPE_BYTES)),
    shape: list(whole(0), 0, 8),
    sizeBytes,
  }),
  1,
  16,
)

const isModelWork = members({ kind: oneOf(['model']), model: text(1, 128), digest: word, inputs })

const isTextWork = members({
  kind: oneOf(['text']),
  model: text(1, 128),
  digest: word,
  inputBytes: whole(2, LIMITS.textInputBytes),
  maxTokens: whole(1, LIMITS.textTokens),
})

/** Without required features and with a plain name, as most are. */
const isKernelWork = members(
  {
    kind: oneOf(['kernel']),
    wgsl: text(1, LIMITS.wgslBytes),
    entryPoint: matches(/^[A-Za-z][A-Za-z0-9_]{0,127}$/),
    workgroups: list(whole(1, 65_535), 3, 3),
    buffers: list(
      members(
        {
          binding: whole(0, 15),
          access: oneOf(['read', 'read_write', 'uniform']),
          sizeBytes: whole(4, LIMITS.kernelBufferBytes),
          filled: flag,
          return: flag,
        },
        { keep: flag },
      ),
      1,
      LIMITS.kernelBuffers,
    ),
    digest: word,
  },
  { session: members({ id: word, step: whole(1) }) },
)

const WORKS: ReadonlyMap<unknown, Test> = new Map([
  ['model', isModelWork],
  ['text', isTextWork],
  ['kernel', isKernelWork],
])

/** Whether this is an offer of a usual form, whose policy was sent before. Other offers may be right too. */
export const isUsualOffer = members({
  ticket: isTicket,
  policy: (value) => value === null,
  work: (value) => WORKS.get((value as { kind?: unknown } | null)?.kind)?.(value) ?? false,
  salt: word,
  traceparent: orNull(text(0, 64)),
})

/** Accepts what the schema accepts, and nothing else. */
export const SentOffer = quickly(isUsualOffer, SentOfferSchema)
