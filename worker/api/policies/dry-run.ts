/** The question "what would happen to this job", and its answer. */
import { z } from 'zod'
import { COMPUTE_RULES } from '#shared/law/decide.ts'
import { Bytes32, NodeId } from '#shared/base/ids.ts'
import { NODE_KINDS } from '#shared/node/node.ts'
import {
  EVIDENCE_CLASSES,
  JURISDICTIONS,
  NODE_TRUSTS,
  PolicyDraft,
  PolicyId,
  RegionList,
} from '#shared/law/policy.ts'

/** Of a published policy by its name (its newest version, or one that is named), of a draft, or of the default policy. */
export const DryRunRequest = z.strictObject({
  policy: PolicyId.optional(),
  version: z.int().min(1).optional(),
  /** A policy as it would be published; its `id` may be left out. */
  draft: PolicyDraft.partial({ id: true }).optional(),
  /** As a request would narrow it. */
  residency: z.strictObject({ allow: RegionList }).optional(),
})

/** Read first: the draft is then judged as a policy that is published, with the same words. */
export const DryRunQuestion = DryRunRequest.extend({ draft: z.looseObject({}).optional() })
export type DryRunQuestion = z.infer<typeof DryRunQuestion>

const Verdict = z.enum(['allow', ...COMPUTE_RULES])

export const DryRunReply = z.object({
  policy: z.object({
    id: z.string(),
    /** Null for a draft. */
    version: z.int().nullable(),
    hash: Bytes32.nullable(),
  }),
  /** Where the job could be computed, after the narrowing. */
  computeCountries: z.array(z.string()),
  /** Of this very request. */
  ingress: z.object({
    country: z.string(),
    source: z.string(),
    verdict: z.enum(['allow', 'ingress.allow']),
    sentence: z.string(),
  }),
  hubs: z.array(
    z.object({
      hub: z.string(),
      jurisdiction: z.enum(JURISDICTIONS),
      verdict: z.enum(['allow', 'storage.jurisdiction']),
      /** False when it did not answer: its nodes are then not in the list. */
      isLive: z.boolean(),
    }),
  ),
  /** Every node that is connected to one of the hubs that are allowed. */
  nodes: z.array(
    z.object({
      nodeId: NodeId,
      hub: z.string(),
      kind: z.enum(NODE_KINDS),
      country: z.string(),
      evidence: z.enum(EVIDENCE_CLASSES),
      trust: z.enum(NODE_TRUSTS),
      verdict: Verdict,
      sentence: z.string(),
    }),
  ),
  /** What a request would be answered, as far as places are concerned. */
  outcome: z.object({
    code: z.enum(['allow', 'residency_ingress_denied', 'residency_unsatisfiable', 'no_capacity']),
    rule: z.string().nullable(),
    sentence: z.string(),
    /** What would have to be there for it to be allowed; null when it is. */
    needed: z.string().nullable(),
  }),
})
export type DryRunReply = z.infer<typeof DryRunReply>
