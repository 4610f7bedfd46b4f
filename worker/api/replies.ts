/** Shapes of the API's other replies: the API description is made from them, and tests hold the replies to them. */
import { SignedAttestation } from '#shared/place/evidence.ts'
import { z } from 'zod'
import { ERRORS, type ErrorCode } from '#shared/base/errors.ts'
import { Bytes32, NodeId } from '#shared/base/ids.ts'
import { MODEL_TASKS, ModelManifest, ModelTensor } from '#shared/job/model.ts'
import { MicroUsd } from '#shared/receipt/money.ts'
import { EVIDENCE_SOURCES, JURISDICTIONS, Policy } from '#shared/law/policy.ts'
import { PublicKey } from '#shared/base/signature.ts'
import { FAULT_CODES } from '#worker/protocols/ledger-fault.ts'
import { NetworkNode } from '#worker/protocols/hub.ts'
import { SCOPES } from '#worker/protocols/tenant.ts'
import { QuotaState } from '#worker/protocols/quota.ts'

/** Every error: RFC 9457 with an `error` member, OpenAI's object or, below `/v2`, the Open Inference Protocol's text. */
export const ProblemReply = z.object({
  type: z.url(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.enum(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]),
  requestId: z.string(),
  /** The rule that refused, for residency errors. */
  rule: z.string().optional(),
  /** What would have satisfied it, in words. */
  needed: z.string().optional(),
  errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
  error: z.union([
    z.string(),
    z.object({
      message: z.string(),
      type: z.string(),
      code: z.string(),
      /** Where the first fault is: `messages[0].content`. */
      param: z.string().nullable(),
      rule: z.string().optional(),
      needed: z.string().optional(),
    }),
  ]),
})

export const ServerReply = z.object({
  name: z.string(),
  version: z.string(),
  extensions: z.array(z.string()),
})

export const LiveReply = z.object({ live: z.literal(true) })

/** As the operator sees it. */
export const QuotaReply = QuotaState.extend({ tenant: z.string() })

const ReadyPart = z.object({ ready: z.boolean(), detail: z.string() })

/** With status 503 it is a problem as well, and `ready` is false. */
export const ReadyReply = z.object({
  ready: z.boolean(),
  parts: z.object({ nodes: ReadyPart, hubs: ReadyPart, ledger: ReadyPart, chain: ReadyPart }),
  hubs: z.int(),
  nodes: z.int(),
  models: z.int(),
})

export const KernelsReply = z.object({
  object: z.literal('list'),
  data: z.array(
    z.object({
      kernel: z.string(),
      /** What receipts call it: sha-256 over its specification and WGSL. */
      digest: Bytes32,
      title: z.string(),
      inputs: z.array(
        z.object({
          name: z.string(),
          datatypes: z.array(z.string()),
          rank: z.array(z.int()),
          shape: z.string(),
        }),
      ),
      params: z.record(
        z.string(),
        z.object({
          type: z.enum(['integer', 'number', 'boolean', 'choice']),
          default: z.union([z.number(), z.string(), z.boolean()]).optional(),
          min: z.number().optional(),
          max: z.number().optional(),
          choices: z.array(z.string()).optional(),
          about: z.string(),
        }),
      ),
      outputs: z.array(z.object({ name: z.string(), shape: z.string() })),
      limits: z.string(),
      tolerance: z.object({ value: z.number(), of: z.string() }),
      price: z.object({
        microUsdPerUnit: z.number(),
        operationsPerUnit: z.number(),
        operations: z.string(),
      }),
    }),
  ),
})

/** The protocol writes -1 for a free size. */
const FaceTensor = ModelTensor.extend({ shape: z.array(z.int().min(-1)) })

export const ModelReply = z.object({
  name: z.string(),
  versions: z.array(Bytes32),
  platform: z.string(),
  inputs: z.array(FaceTensor),
  outputs: z.array(FaceTensor),
  title: z.string(),
  task: z.string(),
  licence: z.string(),
  unit: ModelManifest.shape.unit,
  price_micro_usd: z.int(),
})

export const ModelReadyReply = z.object({
  name: z.string(),
  ready: z.literal(true),
  nodes: z.int().min(1),
})

export const ListedModelReply = z.object({
  id: z.string(),
  object: z.literal('model'),
  created: z.int(),
  owned_by: z.string(),
  title: z.string(),
  task: z.enum(MODEL_TASKS),
  licence: z.string(),
  digest: Bytes32,
  size_bytes: z.int(),
  /** Most tokens of prompt and answer together; null where that means nothing. */
  context_tokens: z.int().nullable(),
  unit: ModelManifest.shape.unit,
  price_micro_usd: z.int(),
  /** Live nodes that have it loaded. */
  nodes: z.int(),
  /** Live nodes that could load it. */
  loadable: z.int(),
  /** Answered now, after a load, or not at all; a policy may allow less. */
  status: z.enum(['warm', 'cold', 'unavailable']),
  countries: z.array(z.object({ country: z.string(), warm: z.int(), loadable: z.int() })),
  /** Nodes that have it loaded, by what runs it there. */
  providers: z.record(z.string(), z.int()),
})

export const ModelsReply = z.object({
  object: z.literal('list'),
  data: z.array(ListedModelReply),
})

export const NetworkReply = z.object({
  hubs: z.array(
    z.object({
      hub: z.string(),
      jurisdiction: z.enum(JURISDICTIONS),
      peerId: NodeId,
      hubKey: PublicKey,
      /** Where nodes dial it; an admission token goes into its path. */
      multiaddr: z.string(),
      nodes: z.int(),
    }),
  ),
  nodes: z.array(NetworkNode),
  settlement: z.looseObject({
    isPosting: z.boolean(),
    /** Why nothing can be posted, in words; null when all is well. */
    fault: z.string().nullable(),
    faultCode: z.enum(FAULT_CODES).nullable(),
    pendingReceipts: z.int(),
    settledReceipts: z.int(),
    refusedReceipts: z.int(),
  }),
  /** Where this connection comes from, as the edge sees it: a country or `unknown`. */
  you: z.object({ country: z.string(), source: z.enum(EVIDENCE_SOURCES) }),
})

export const EarningsReply = z.object({
  pendingMicroUsd: MicroUsd,
  settledMicroUsd: MicroUsd,
  /** The leaf and proof that the contract's `claim` takes; null until something is on the chain. */
  claimable: z
    .object({ cumulativeMicroUsd: MicroUsd, proof: z.array(Bytes32), root: Bytes32 })
    .nullable(),
})

/** A policy as published: the version never changes again. */
export const PolicyReply = z.object({
  policy: Policy,
  version: z.int().min(1),
  hash: Bytes32,
  publishedAtMs: z.int(),
  /** Since when the policy takes no new jobs; null while it takes them. */
  retiredAtMs: z.int().nullable(),
  /** Where jobs may run, in the policy's own words: `EU except IE`. */
  computeIn: z.string(),
  computeCountries: z.array(z.string()),
})

/** What publishing it answers: what was left out and is read in its place, and what its groups do not say by their names. */
export const PublishedPolicyReply = PolicyReply.extend({
  assumed: z.array(z.object({ pointer: z.string(), value: z.unknown(), means: z.string() })),
  notes: z.array(z.string()),
})

/** Newest first. */
export const PolicyVersionsReply = z.object({ id: z.string(), versions: z.array(PolicyReply) })

export const PoliciesReply = z.object({
  default: z.string(),
  policies: z.array(PolicyReply),
  /** They take no new jobs. */
  retired: z.array(PolicyReply),
})

export const DefaultPolicyReply = z.object({ default: z.string() })

export const KeyReply = z.object({
  id: z.string(),
  name: z.string(),
  scopes: z.array(z.enum(SCOPES)),
  networks: z.array(z.string()),
  createdAtMs: z.int(),
  /** Null for a key that lives until it is revoked. */
  expiresAtMs: z.int().nullable(),
  revokedAtMs: z.int().nullable(),
  /** To the minute; null for a key that was never used. */
  lastUsedAtMs: z.int().nullable(),
})

export const CreatedKeyReply = KeyReply.extend({
  tenant: z.string(),
  /** Shown once. */
  key: z.string(),
})

export const RotatedKeyReply = CreatedKeyReply.extend({
  /** Until when the secret before is still taken; null when it is not any more. */
  formerUntilMs: z.int().nullable(),
})

/** What a key may do, as it is told itself. */
export const OwnKeyReply = z.object({
  tenant: z.string(),
  id: z.string(),
  scopes: z.array(z.enum(SCOPES)),
  networks: z.array(z.string()),
  /** Null for a key that lives until it is revoked. */
  expiresAtMs: z.int().nullable(),
})

export const KeysReply = z.object({ tenant: z.string(), keys: z.array(KeyReply) })

export const AttestationsReply = z.object({ attestations: z.array(SignedAttestation) })

export const UnattestedReply = z.object({ nodeId: z.string(), attested: z.literal(false) })

export const AdmissionReply = z.object({
  token: z.string(),
  expiresAtMs: z.int(),
  /** Nearest first; the token stands in each address's path. */
  hubs: z.array(z.string()).min(1),
  /** Hubs that measure how far the node is; their tokens let no job pass. */
  anchors: z.array(z.string()),
  place: z.object({
    country: z.string(),
    evidence: z.string(),
    source: z.string(),
    trust: z.string(),
  }),
  models: z.array(z.object({ id: z.string(), digest: Bytes32 })),
})
