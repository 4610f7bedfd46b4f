/** Real signed messages of the work protocol, and a node whose work is easy to check. */
import type { PrivateKey } from '@libp2p/interface'
import { sha256 } from 'viem'
import { errorCode } from '#shared/base/errors.ts'
import { newIdentity, peerIdOf } from '#p2p/peers/node.ts'
import { signPresence } from '#p2p/peers/presence.ts'
import {
  WORK_VERSION,
  type Hello,
  type JobOffer,
  type JobResult,
  type KeptReceipt,
  type Welcome,
} from '#p2p/stream/messages.ts'
import type { StoredReceipt } from '#node-core/receipt-store.ts'
import type { WorkHandler, WorkRunOptions } from '#p2p/work/work-handler.ts'
import { newJobId, TenantId, type Bytes32 } from '#shared/base/ids.ts'
import type { PresenceRecord, SignedPresence } from '#shared/node/node.ts'
import { compilePolicy } from '#shared/law/compile-policy.ts'
import type { Domain } from '#shared/proof/domain.ts'
import { signLeaves } from '#shared/proof/tree-signature.ts'
import { RECEIPT_LAYOUT, receiptId, receiptOf, type NodeWork } from '#shared/receipt/receipt.ts'
import { createSigner, generateSigningKey, type Signer } from '#shared/proof/signature.ts'
import { placeIn } from './place.ts'
import { presenceOf, TEST_ADAPTER } from './presence.ts'
import { asPolicy } from './as-policy.ts'

const WORK_DOMAIN: Domain = {
  chainId: 31_337,
  verifyingContract: '0x5fbdb2315678afecb367f032d93f642f64180aa3',
}
const tenant = TenantId.parse('acme')
const policy = compilePolicy(asPolicy({ id: 'open', compute: { allow: ['WORLD'] } }), {
  tenant,
  version: 1,
})

export interface TestNode {
  readonly identity: PrivateKey
  readonly signer: Signer
  presence(sequence?: number, issuedAtMs?: number): Promise<SignedPresence>
  hello(): Promise<Hello>
  receipt(offer: JobOffer): Promise<StoredReceipt>
  result(offer: JobOffer, sizeBytes: number): Promise<JobResult>
}

export async function createTestNode(): Promise<TestNode> {
  const identity = await newIdentity()
  const signer = await createSigner(await generateSigningKey(false))
  const presence = (sequence = 1, issuedAtMs = Date.now()) =>
    signPresence(presenceRecord({ identity, signer, sequence, issuedAtMs }), identity)
  return {
    identity,
    signer,
    presence,
    hello: async () => ({ version: WORK_VERSION, presence: await presence() }),
    async receipt(offer) {
      const { id, bytes, nodeSignature } = await signWork(offer, workFor(offer), signer)
      const { jobId, hub } = offer.ticket
      return { receiptId: id, jobId, hub, receipt: bytes, salt: offer.salt, nodeSignature }
    },
    async result(offer, sizeBytes) {
      const outputs =
        sizeBytes === 0
          ? []
          : [{ name: 'y', datatype: 'UINT8' as const, shape: [sizeBytes], sizeBytes }]
      const answer = { outputs, provider: 'cpu' as const, adapter: TEST_ADAPTER, computeMs: 1 }
      const work = workFor(offer)
      const { nodeSignature } = await signWork(offer, work, signer)
      return { answer, work, nodeSignature }
    },
  }
}

interface RecordParts extends Pick<PresenceRecord, 'sequence' | 'issuedAtMs'> {
  readonly identity: PrivateKey
  readonly signer: Signer
}

export function presenceRecord({ identity, signer, sequence, issuedAtMs }: RecordParts) {
  const [nodeId, receiptKey] = [peerIdOf(identity), signer.publicKey]
  return presenceOf({ nodeId, receiptKey, maxJobs: 8, sequence, issuedAtMs })
}

export interface TestHub {
  readonly signer: Signer
  welcome(): Promise<Welcome>
  /** An offer of model work whose input has `payload.byteLength` bytes. */
  offer(nodeId: string, payload: Uint8Array): Promise<JobOffer>
}

export async function createTestHub(): Promise<TestHub> {
  const signer = await createSigner(await generateSigningKey(false))
  const place = placeIn('DE', { evidence: 'declared', source: 'none' })
  return {
    signer,
    welcome: () =>
      Promise.resolve({
        version: WORK_VERSION,
        hub: 'hub-test',
        hubKey: signer.publicKey,
        domain: WORK_DOMAIN,
        place,
        networks: [],
        quarantine: null,
      }),
    async offer(nodeId, payload) {
      const digest = sha256(payload)
      const now = Date.now()
      const ticket = {
        jobId: newJobId(),
        attempt: 1,
        hub: 'hub-test',
        nodeId: nodeId as JobOffer['ticket']['nodeId'],
        tenant,
        policyHash: policy.hash,
        allowed: policy.compute,
        place,
        workDigest: digest,
        inputCommitment: digest,
        units: 1,
        priceMicroUsd: 1,
        issuedAtMs: now,
        expiresAtMs: now + 60_000,
      }
      return {
        ticket,
        policy,
        work: {
          kind: 'model',
          model: 'invert',
          digest,
          inputs: [
            {
              name: 'x',
              datatype: 'UINT8',
              shape: [payload.byteLength],
              sizeBytes: payload.byteLength,
            },
          ],
        },
        salt: digest,
        traceparent: null,
      }
    },
  }
}

export type Run = (
  offer: JobOffer,
  payload: Uint8Array,
  options: WorkRunOptions,
) => Promise<JobResult>

/** Emits every payload byte inverted, in one piece. */
export function invertBytes(node: TestNode): Run {
  return async (offer, payload, { emit }) => {
    await emit(payload.map((byte) => 255 - byte))
    return node.result(offer, payload.byteLength)
  }
}

export interface TestHandler extends WorkHandler {
  readonly welcomes: Welcome[]
  readonly acknowledgedIds: Bytes32[]
}

export function createTestHandler(
  node: TestNode,
  run: Run = invertBytes(node),
  pending: readonly KeptReceipt[] = [],
): TestHandler {
  const welcomes: Welcome[] = []
  const acknowledgedIds: Bytes32[] = []
  return {
    welcomes,
    acknowledgedIds,
    hello: () => node.hello(),
    welcomed: (welcome) => void welcomes.push(welcome),
    run,
    acknowledged: (ids) => void acknowledgedIds.push(...ids),
    pendingReceipts: () => Promise.resolve(pending),
  }
}

function workFor({ ticket }: JobOffer): NodeWork {
  return {
    outputCommitment: ticket.inputCommitment,
    units: 1,
    startedAtMs: ticket.issuedAtMs,
    finishedAtMs: ticket.issuedAtMs + 1,
    provider: 'cpu',
  }
}

/** Signs one receipt alone, as a node does that has one job. */
export async function signWork(
  { ticket }: JobOffer,
  work: NodeWork,
  signer: Signer,
  domain: Domain = WORK_DOMAIN,
) {
  const bytes = RECEIPT_LAYOUT.encode(domain, receiptOf(ticket, signer.publicKey, work))
  const id = receiptId(bytes)
  const [nodeSignature] = await signLeaves([id], { by: 'node', domain, signer })
  if (nodeSignature === undefined) throw new Error('no signature')
  return { id, bytes, nodeSignature }
}

/** Pseudorandom bytes from the seed (mulberry32). */
export function seededBytes(sizeBytes: number, seed = 1): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(sizeBytes)
  let state = seed >>> 0
  for (let at = 0; at < sizeBytes; at += 1) {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    bytes[at] = mixed ^ (mixed >>> 14)
  }
  return bytes
}

/** @returns the code that the promise rejects with, or `fulfilled` */
export function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'fulfilled',
    (error: unknown) => errorCode(error) ?? String(error),
  )
}
