/** A result as it comes over the wire, and the form that nearly all results have. */
import { DATATYPE_BYTES, PROVIDERS } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'
import {
  flag,
  list,
  matches,
  members,
  oneOf,
  quickly,
  text,
  whole,
  word,
} from '#shared/base/quick-check.ts'
import { TREE_LEAVES } from '#shared/proof/tree-signature.ts'
import { JobResult } from '#p2p/stream/messages.ts'

const provider = oneOf(PROVIDERS)

export const isUsualResult = members({
  answer: members({
    outputs: list(
      members({
        name: text(1, 128),
        datatype: oneOf(Object.keys(DATATYPE_BYTES)),
        shape: list(whole(0), 0, 8),
        sizeBytes: whole(0, LIMITS.kernelTotalBytes),
      }),
      0,
      16,
    ),
    provider,
    adapter: members({ name: text(0, 128), isSoftware: flag }),
    computeMs: (value) => Number.isFinite(value) && (value as number) >= 0,
  }),
  work: members({
    outputCommitment: word,
    units: whole(0),
    startedAtMs: whole(0),
    finishedAtMs: whole(0),
    provider,
  }),
  nodeSignature: members({
    index: whole(0, TREE_LEAVES - 1),
    size: whole(1, TREE_LEAVES),
    path: list(word, 0, Math.log2(TREE_LEAVES)),
    signature: matches(/^0x[0-9a-f]{128}$/),
  }),
})

/** Accepts what the schema accepts, and nothing else. */
export const SentResult = quickly(isUsualResult, JobResult)
