/** Receipts as a real hub and a real node sign them, alone and in groups, made without running either. */
import { generateKeyPair } from '@libp2p/crypto/keys'
import { signPresence } from '#p2p/peers/presence.ts'
import { peerIdOf } from '#p2p/peers/node.ts'
import type { ReceiptGroup } from '#shared/audit/receipt-group.ts'
import {
  newJobId,
  NodeId,
  ZERO_BYTES32,
  type Address,
  type Bytes32,
  type JobId,
} from '#shared/base/ids.ts'
import { compilePolicy } from '#shared/law/compile-policy.ts'
import type { CompiledPolicy, Policy } from '#shared/law/policy.ts'
import { countryBit, onlyCountry } from '#shared/law/region.ts'
import type { EvidenceRecord } from '#shared/place/evidence.ts'
import type { Domain } from '#shared/proof/domain.ts'
import { createSigner, generateSigningKey, type Signer } from '#shared/proof/signature.ts'
import { signLeaves, TREE_LEAVES, type TreeSignature } from '#shared/proof/tree-signature.ts'
import {
  RECEIPT_LAYOUT,
  receiptId,
  type Place,
  type Receipt,
  type SignedReceipt,
  type Ticket,
} from '#shared/receipt/receipt.ts'
import { voucherFor } from './place.ts'
import { TENANT } from './policies.ts'
import { asPolicy } from './as-policy.ts'
import { presenceOf } from './presence.ts'

/** The published policy; its first version is {@link EU_POLICY}. */
export const EU_POLICY_TEXT: Policy = asPolicy({
  id: 'eu-only',
  compute: { allow: ['EU'] },
  dataClass: 'public',
})

export const EU_POLICY: CompiledPolicy = compilePolicy(EU_POLICY_TEXT, {
  tenant: TENANT,
  version: 1,
})

/** When the tickets were issued. */
const ISSUED_MS = 1_800_000_000_000

/** A running clock by which the receipts are a minute old, for checks of their times. */
export const nowOfReceipts = (): number => Date.now() + SHIFT_MS
const SHIFT_MS = ISSUED_MS + 60_000 - Date.now()

export interface ReceiptWish {
  readonly jobId?: JobId
  readonly attempt?: number
  readonly units?: number
  readonly priceMicroUsd?: number
  readonly policy?: CompiledPolicy
  readonly place?: Partial<Place>
  /** Changes before anybody signs. */
  readonly ticket?: Partial<Ticket>
  readonly receipt?: Partial<Receipt>
  /** Which of the nodes; each has its own receipt key. @default 0 */
  readonly node?: number
}

export interface ReceiptMaker {
  readonly domain: Domain
  readonly hub: Signer
  readonly nodes: readonly Signer[]
  /** A receipt that node and hub signed alone. */
  make(wish?: ReceiptWish): Promise<SignedReceipt>
  /** Receipts that the hub signed together, 64 at a time, and each node its own of them. In the order of the wishes. */
  makeAll(wishes: readonly ReceiptWish[]): Promise<SignedReceipt[]>
}

type Node = Awaited<ReturnType<typeof createNode>>

/** A hub and its nodes, which sign for one chain and contract. */
export async function createReceiptMaker(domain: Domain, nodeCount = 1): Promise<ReceiptMaker> {
  const hub = await createSigner(await generateSigningKey(true))
  const nodes = await Promise.all(Array.from({ length: nodeCount }, () => createNode()))
  const makeTogether = async (wishes: readonly ReceiptWish[]) => {
    const drafts = wishes.map((wish) => draftOf(wish, { domain, nodes }))
    const byHub = await sign(drafts, { by: 'hub', domain, signer: hub })
    const byNode = new Map<Draft, TreeSignature>()
    for (const { signer } of nodes) {
      const own = drafts.filter(({ node }) => node.signer === signer)
      const signed = await sign(own, { by: 'node', domain, signer })
      for (const [draft, signature] of signed) byNode.set(draft, signature)
    }
    return drafts.map((draft): SignedReceipt => {
      const { id, receipt, policy, node } = draft
      const [nodeSignature, hubSignature] = [byNode.get(draft), byHub.get(draft)]
      if (!nodeSignature || !hubSignature) throw new Error('a receipt was not signed')
      const signatures = { nodeSignature, hubSignature, hubKey: hub.publicKey }
      return { version: 2, id, domain, receipt, ...signatures, policy, presence: node.presence }
    })
  }
  return {
    domain,
    hub,
    nodes: nodes.map(({ signer }) => signer),
    async make(wish = {}) {
      const [made] = await makeTogether([wish])
      if (made === undefined) throw new Error('no receipt was made')
      return made
    },
    async makeAll(wishes) {
      const made: SignedReceipt[] = []
      for (let from = 0; from < wishes.length; from += TREE_LEAVES)
        made.push(...(await makeTogether(wishes.slice(from, from + TREE_LEAVES))))
      return made
    },
  }
}

export interface GroupEntry {
  readonly receipt: SignedReceipt
  /** @default null */
  readonly consumer?: Address | null
  /** @default 32 bytes of 0x5a */
  readonly salt?: Bytes32
}

/** The group as a hub would send it. What the documents say stays as it is, right or wrong. */
export function groupOf(
  entries: readonly GroupEntry[],
  evidence: readonly EvidenceRecord[] = [],
): ReceiptGroup {
  const [first] = entries
  if (first === undefined) throw new Error('a group has a receipt')
  const { hubKey } = first.receipt
  const policies = new Map(entries.map(({ receipt: { policy } }) => [policy.hash, policy]))
  const presences = [...new Set(entries.map(({ receipt }) => receipt.presence))]
  const receipts = entries.map(({ receipt: signed, consumer = null, salt = filled('5a') }) => {
    if (signed.hubKey.x !== hubKey.x) throw new Error('a group is of one hub')
    const { id, nodeSignature, hubSignature } = signed
    const receipt = RECEIPT_LAYOUT.encode(signed.domain, signed.receipt)
    const presence = presences.indexOf(signed.presence)
    return { id, receipt, nodeSignature, hubSignature, salt, consumer, presence }
  })
  return { hubKey, policies: [...policies.values()], presences, evidence, receipts }
}

interface Draft {
  readonly id: Bytes32
  readonly receipt: Receipt
  readonly policy: CompiledPolicy
  readonly node: Node
}

function draftOf(
  wish: ReceiptWish,
  { domain, nodes }: { readonly domain: Domain; readonly nodes: readonly Node[] },
): Draft {
  const node = nodes[wish.node ?? 0]
  if (node === undefined) throw new Error(`there is no node ${wish.node}`)
  const policy = wish.policy ?? EU_POLICY
  const ticket = ticketOf(wish, policy, node.nodeId)
  const receipt: Receipt = {
    ticket,
    receiptKey: node.signer.publicKey,
    outputCommitment: filled('0e'),
    units: ticket.units,
    amountMicroUsd: (BigInt(ticket.units) * BigInt(ticket.priceMicroUsd)).toString(),
    startedAtMs: ticket.issuedAtMs + 5,
    finishedAtMs: ticket.issuedAtMs + 25,
    provider: 'webgpu',
    ...wish.receipt,
  }
  return { id: receiptId(RECEIPT_LAYOUT.encode(domain, receipt)), receipt, policy, node }
}

/** Signs the drafts as one tree, if there are any. */
async function sign(
  drafts: readonly Draft[],
  signing: Parameters<typeof signLeaves>[1],
): Promise<Map<Draft, TreeSignature>> {
  const ids = drafts.map(({ id }) => id)
  const signed = ids.length === 0 ? [] : await signLeaves(ids, signing)
  return new Map(
    signed.flatMap((signature, index) => {
      const draft = drafts[index]
      return draft === undefined ? [] : [[draft, signature] as const]
    }),
  )
}

function ticketOf(wish: ReceiptWish, policy: CompiledPolicy, nodeId: NodeId): Ticket {
  return {
    jobId: wish.jobId ?? newJobId(),
    attempt: wish.attempt ?? 1,
    hub: 'hub-test',
    nodeId,
    tenant: policy.tenant,
    policyHash: policy.hash,
    allowed: policy.compute,
    place: {
      country: countryBit('DE'),
      evidence: 'observed',
      source: 'edge',
      trust: 'public',
      voucher: voucherFor(wish.place ?? {}),
      possible: onlyCountry(wish.place?.country ?? countryBit('DE')),
      evidenceHash: ZERO_BYTES32,
      ...wish.place,
    },
    workDigest: filled('0a'),
    inputCommitment: filled('0c'),
    units: wish.units ?? 3,
    priceMicroUsd: wish.priceMicroUsd ?? 7,
    issuedAtMs: ISSUED_MS,
    expiresAtMs: ISSUED_MS + 120_000,
    ...wish.ticket,
  }
}

async function createNode() {
  const signer = await createSigner(await generateSigningKey(true))
  const identity = await generateKeyPair('Ed25519')
  const nodeId = NodeId.parse(peerIdOf(identity))
  const record = presenceOf({ nodeId, receiptKey: signer.publicKey, issuedAtMs: ISSUED_MS })
  const presence = await signPresence(record, identity)
  return { signer, nodeId, presence }
}

function filled(byte: string): Bytes32 {
  return `0x${byte.repeat(32)}`
}
