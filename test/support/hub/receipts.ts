/** Receipts as a real hub and a real node sign them, made without running either. */
import { generateKeyPair } from '@libp2p/crypto/keys'
import { signPresence } from '#p2p/peers/presence.ts'
import { peerIdOf } from '#p2p/peers/node.ts'
import { typedDigest, type Domain } from '#shared/proof/domain.ts'
import { newJobId, NodeId, ZERO_BYTES32, type Bytes32, type JobId } from '#shared/base/ids.ts'
import { compilePolicy } from '#shared/law/compile-policy.ts'
import type { CompiledPolicy, Policy } from '#shared/law/policy.ts'
import {
  receiptHash,
  ticketHash,
  type Place,
  type Receipt,
  type SignedReceipt,
  type Ticket,
} from '#shared/receipt/receipt.ts'
import { countryBit, onlyCountry } from '#shared/law/region.ts'
import { createSigner, generateSigningKey, type Signer } from '#shared/proof/signature.ts'
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
  make(wish?: ReceiptWish): Promise<SignedReceipt>
}

/** A hub and its nodes, which sign for one chain and contract. */
export async function createReceiptMaker(domain: Domain, nodeCount = 1): Promise<ReceiptMaker> {
  const hub = await createSigner(await generateSigningKey(true))
  const nodes = await Promise.all(Array.from({ length: nodeCount }, () => createNode()))
  return {
    domain,
    hub,
    nodes: nodes.map(({ signer }) => signer),
    async make(wish = {}) {
      const node = nodes[wish.node ?? 0]
      if (node === undefined) throw new Error(`there is no node ${wish.node}`)
      const { signer, presence, nodeId } = node
      const policy = wish.policy ?? EU_POLICY
      const ticket = ticketOf(wish, policy, nodeId)
      const receipt: Receipt = {
        ticket,
        receiptKey: signer.publicKey,
        outputCommitment: filled('0e'),
        units: ticket.units,
        amountMicroUsd: (BigInt(ticket.units) * BigInt(ticket.priceMicroUsd)).toString(),
        startedAtMs: ticket.issuedAtMs + 5,
        finishedAtMs: ticket.issuedAtMs + 25,
        provider: 'webgpu',
        verification: 'none',
        ...wish.receipt,
      }
      const id = receiptHash(receipt)
      const digest = typedDigest(domain, id)
      return {
        version: 1,
        id,
        domain,
        receipt,
        nodeSignature: await signer.sign(digest),
        ticketSignature: await hub.sign(typedDigest(domain, ticketHash(ticket))),
        hubSignature: await hub.sign(digest),
        hubKey: hub.publicKey,
        policy,
        presence,
      }
    },
  }
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
