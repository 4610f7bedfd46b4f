/** Policies as the API shows them, and the dry run. */
import { z } from 'zod'
import { Bytes32, NodeId } from '#shared/base/ids.ts'
import { COMPUTE_RULES } from '#shared/law/decide.ts'
import { EVIDENCE_CLASSES, JURISDICTIONS, NODE_TRUSTS, Policy } from '#shared/law/policy.ts'
import { NODE_KINDS } from '#shared/node/node.ts'

/** One published version, which never changes. */
export const PolicyReply = z.object({
  policy: Policy,
  version: z.int().min(1),
  hash: Bytes32,
  publishedAtMs: z.int(),
  /** When the policy was retired; null while it takes new jobs. */
  retiredAtMs: z.int().nullable(),
  /** Where jobs may run, in the policy's words: `EU except IE`. */
  computeIn: z.string(),
  computeCountries: z.array(z.string()),
})
export type PolicyReply = z.infer<typeof PolicyReply>

/** Also has the assumed defaults, and notes on the members of the policy's groups. */
export const PublishedPolicyReply = PolicyReply.extend({
  assumed: z.array(z.object({ pointer: z.string(), value: z.unknown(), means: z.string() })),
  notes: z.array(z.string()),
})

/** Newest first. */
export const PolicyVersionsReply = z.object({ id: z.string(), versions: z.array(PolicyReply) })

export const PoliciesReply = z.object({
  default: z.string(),
  policies: z.array(PolicyReply),
  /** Policies that take no new jobs. */
  retired: z.array(PolicyReply),
})

export const DefaultPolicyReply = z.object({ default: z.string() })

/** The predicted outcome of a job under a policy. */
export const DryRunReply = z.object({
  policy: z.object({
    id: z.string(),
    /** Null for a draft. */
    version: z.int().nullable(),
    hash: Bytes32.nullable(),
  }),
  /** Where the job could be computed, after the narrowing. */
  computeCountries: z.array(z.string()),
  /** Verdict on the ingress of this request. */
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
      /** False when the hub did not answer; its nodes are then missing from `nodes`. */
      isLive: z.boolean(),
    }),
  ),
  /** Every node connected to an allowed hub. */
  nodes: z.array(
    z.object({
      nodeId: NodeId,
      hub: z.string(),
      kind: z.enum(NODE_KINDS),
      country: z.string(),
      evidence: z.enum(EVIDENCE_CLASSES),
      trust: z.enum(NODE_TRUSTS),
      verdict: z.enum(['allow', ...COMPUTE_RULES]),
      sentence: z.string(),
    }),
  ),
  /** The answer that a job would get, judged by places alone. */
  outcome: z.object({
    code: z.enum(['allow', 'residency_ingress_denied', 'residency_unsatisfiable', 'no_capacity']),
    rule: z.string().nullable(),
    sentence: z.string(),
    /** The condition that the job lacks; null when it is allowed. */
    needed: z.string().nullable(),
  }),
})
export type DryRunReply = z.infer<typeof DryRunReply>
