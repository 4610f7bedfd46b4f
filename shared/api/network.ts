/** Nodes, hubs, places, settlement and readiness as the API shows them. */
import { z } from 'zod'
import { Address, Bytes32, NodeId } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { PublicKey } from '#shared/proof/signature.ts'
import {
  EVIDENCE_CLASSES,
  EVIDENCE_SOURCES,
  JURISDICTIONS,
  NODE_TRUSTS,
} from '#shared/law/policy.ts'
import { NODE_KINDS } from '#shared/node/node.ts'
import { SignedAttestation } from '#shared/place/evidence.ts'
import { MicroUsd } from '#shared/receipt/money.ts'

/** A live node; its place is shown at country level only. */
export const NetworkNode = z.object({
  nodeId: NodeId,
  kind: z.enum(NODE_KINDS),
  country: z.string(),
  evidence: z.enum(EVIDENCE_CLASSES),
  source: z.enum(EVIDENCE_SOURCES),
  trust: z.enum(NODE_TRUSTS),
  adapter: z.object({ name: z.string(), isSoftware: z.boolean() }),
  models: z.array(
    z.object({
      id: z.string(),
      digest: Bytes32,
      provider: z.string(),
      serviceMs: z.number(),
    }),
  ),
  /** Digests of models that the node could load. */
  loadable: z.array(Bytes32),
  kernels: z.union([z.literal('any'), z.int()]),
  /** WGSL features that kernels may enable. */
  features: z.array(z.string()).default([]),
  rttMs: z.number(),
  inFlight: z.int(),
  jobsDone: z.int(),
  quarantine: z.string().nullable(),
  /** Reasons for the conclusion about the node's place, in words, and the time when it expires. */
  evidenceReasons: z.array(z.string()),
  evidenceUntilMs: z.number().nullable(),
  relaySuspected: z.boolean(),
})
export type NetworkNode = z.infer<typeof NetworkNode>

/** Reasons why settlement is stuck; a fixed set, so that metrics can use them as labels. */
export const FAULT_CODES = [
  /** The endpoint does not answer. */
  'chain.unreachable',
  /** The endpoint serves another chain. */
  'chain.other',
  'contract.missing',
  /** The contract does not accept this poster. */
  'poster.unknown',
  /** The poster cannot pay for a transaction. */
  'poster.broke',
  /** The contract would revert, so the batch is not sent. */
  'batch.refused',
  'batch.reverted',
  /** The endpoint rejects the transaction. */
  'batch.unsent',
  'batch.unmined',
  /** The stored data belongs to another chain, contract or ledger. */
  'ledger.foreign',
  'ledger.failed',
] as const
export type FaultCode = (typeof FAULT_CODES)[number]

/** Connected nodes that are alike in what decides where a job may run. */
export const NetworkGroup = z.object({
  country: z.string(),
  trust: z.enum(NODE_TRUSTS),
  evidence: z.enum(EVIDENCE_CLASSES),
  isQuarantined: z.boolean(),
  nodes: z.int(),
})
export type NetworkGroup = z.infer<typeof NetworkGroup>

/** The nodes of one hub. */
export const NetworkNodesReply = z.object({
  hub: z.string(),
  nodes: z.array(NetworkNode),
  /** The hub to ask next; null after the last one. */
  next: z.string().nullable(),
})

/** Some seconds old, as the hubs' summaries. */
export const NetworkReply = z.object({
  hubs: z.array(
    z.object({
      hub: z.string(),
      jurisdiction: z.enum(JURISDICTIONS),
      peerId: NodeId,
      hubKey: PublicKey,
      /** Where nodes dial the hub; an admission token goes into its path. */
      multiaddr: z.string(),
      nodes: z.int(),
    }),
  ),
  /** Connected nodes of all hubs. */
  groups: z.array(NetworkGroup),
  settlement: z.looseObject({
    isPosting: z.boolean(),
    /** Why nothing can be posted, in words; null when nothing is wrong. */
    fault: z.string().nullable(),
    faultCode: z.enum(FAULT_CODES).nullable(),
    pendingReceipts: z.int(),
    settledReceipts: z.int(),
    refusedReceipts: z.int(),
  }),
  /** Where the edge sees this connection come from: a country or `unknown`. */
  you: z.object({ country: z.string(), source: z.enum(EVIDENCE_SOURCES) }),
})

export const EarningsReply = z.object({
  pendingMicroUsd: MicroUsd,
  settledMicroUsd: MicroUsd,
  /** The leaf and proof for the contract's `claim`; null until something is on the chain. */
  claimable: z
    .object({
      cumulativeMicroUsd: MicroUsd,
      /** The leaf's place in the earnings tree, from 0, and the number of leaves. */
      index: z.int().min(0),
      size: z.int().min(1),
      proof: z.array(Bytes32),
      root: Bytes32,
    })
    .nullable(),
})

/** The chain that this deployment settles on. */
export const PublicChain = z.object({
  chainId: z.int(),
  settlement: Address,
  /** Public JSON-RPC endpoint; null where the deployment names none. */
  rpc: z.string().nullable(),
})
export type PublicChain = z.infer<typeof PublicChain>

export const AttestationsReply = z.object({ attestations: z.array(SignedAttestation) })

export const UnattestedReply = z.object({ nodeId: z.string(), attested: z.literal(false) })

export const AdmissionReply = z.object({
  token: z.string(),
  expiresAtMs: z.int(),
  /** Nearest first; each address carries the token in its path. */
  hubs: z.array(z.string().max(2048)).min(1).max(LIMITS.anchors),
  /** Hubs that only measure how far away the node is; they send it no jobs. */
  anchors: z.array(z.string().max(2048)).max(LIMITS.anchors),
  place: z.object({
    country: z.string(),
    evidence: z.string(),
    source: z.string(),
    trust: z.string(),
  }),
  models: z.array(z.object({ id: z.string(), digest: Bytes32 })),
})

const ReadyPart = z.object({ ready: z.boolean(), detail: z.string() })

/** With status 503 the body is a problem as well, and `ready` is false. */
export const ReadyReply = z.object({
  ready: z.boolean(),
  parts: z.object({ nodes: ReadyPart, hubs: ReadyPart, ledger: ReadyPart, chain: ReadyPart }),
  hubs: z.int(),
  nodes: z.int(),
  models: z.int(),
})
