/**
 * Posts batches to the chain, one after another, each exactly once.
 *
 * Every step reads the state of the chain and does one thing, so that a kill between two steps only repeats a step.
 * A batch and its transaction are kept before they are sent, and a sent transaction is sent again unchanged. A batch has
 * landed when the contract holds its root, whichever version or transaction brought it there.
 */
import { invariant } from '#shared/base/errors.ts'
import type { Log } from '#shared/base/log.ts'
import { EMPTY_ROOT } from '#shared/receipt/settlement.ts'
import type {
  SettlementBatchStore,
  KeptSettlementBatch,
  KeptTransaction,
  Landing,
} from '#worker/ledger/batches/settlement-batch-store.ts'
import type { SettlementBatch } from '#worker/ledger/intake/settlement-batch.ts'
import type { Fate, LedgerChain, Position, SignedTransaction } from '#worker/ledger/chain/chain.ts'
import type { Fault } from '#worker/protocols/ledger-fault.ts'
import { composeSettlementBatch, type ComposeDeps } from '#worker/ledger/batches/compose.ts'

/** Period of the checks of a pending transaction. */
export const POLL_MS = 500
/** A transaction that is not mined within this time is replaced by one with a higher fee. */
export const RESEND_MS = 60_000
/** Transactions with one nonce, each with a higher fee. Beyond this an operator must act. */
const MAX_BUMPS = 20
/** Transactions of one version, with any nonce. */
const MAX_TRANSACTIONS = 200
const LONGEST_PAUSE_MS = 3_600_000

export interface PosterDeps extends ComposeDeps {
  readonly chain: LedgerChain
  readonly batches: SettlementBatchStore
  readonly batchMs: number
  /** Blocks on top of a batch's own before it counts as settled. */
  readonly confirmations: number
  readonly log: Log
}

export interface Step {
  /** Delay before the next step; null: wait for new receipts. */
  readonly againMs: number | null
  readonly fault: Fault | null
}

/** Takes the next step. @throws errors of the chain endpoint, after which the step can be repeated */
export async function stepPoster(deps: PosterDeps): Promise<Step> {
  const { chain, queue, batches, settling, batchMs } = deps
  if (!batches.isFor(chain.domain)) {
    const detail = 'The batches kept here are for another chain or contract.'
    return { againMs: batchMs, fault: { code: 'ledger.foreign', detail } }
  }
  const position = await chain.position()
  queue.refuseOtherDomains(chain.domain)
  const lost = settling.reopenFrom(position.nextBatchId)
  if (lost > 0) deps.log.warn('batches.reopened', { from: position.nextBatchId, lost })
  const open = batches.current()
  if (open !== undefined)
    return position.nextBatchId > open.id
      ? confirm(open.id, position, deps)
      : push(open, position, deps)
  const id = batches.lastId() + 1
  if (position.nextBatchId > id) return confirm(id, position, deps)
  const diverged = await findDivergence(id - 1, deps)
  if (diverged !== undefined) {
    settling.reopenFrom(diverged)
    return { againMs: 0, fault: null }
  }
  const pauseMs = pauseAfterReverts(id, deps)
  if (pauseMs > 0) return { againMs: pauseMs, fault: revertFault(id, batches) }
  const parentRoot = batches.settled(id - 1)?.receiptRoot ?? EMPTY_ROOT
  const batch = await composeSettlementBatch({ id, parentRoot }, deps)
  if (batch === null) return { againMs: queue.isEmpty() ? null : batchMs, fault: null }
  return post(batch, position, deps)
}

/**
 * Finds the oldest of the newest batches whose root on the chain differs from the one settled here. The chain then
 * reorganised deeper than `confirmations`, and another version landed.
 */
async function findDivergence(
  lastId: number,
  { chain, batches }: PosterDeps,
): Promise<number | undefined> {
  let diverged: number | undefined
  for (let id = lastId; id > 0; id -= 1) {
    if ((await chain.receiptRoot(id)) === batches.settled(id)?.receiptRoot) return diverged
    diverged = id
  }
  return diverged
}

async function post(batch: SettlementBatch, position: Position, deps: PosterDeps): Promise<Step> {
  const { chain, batches, batchMs, log } = deps
  const estimated = await chain.estimate(batch.calldata)
  if ('revert' in estimated) {
    const detail = `The contract refuses batch ${batch.id}: ${estimated.revert}`
    return { againMs: batchMs, fault: { code: 'batch.refused', detail } }
  }
  const gas = (estimated.gas * 12n) / 10n
  const nonce = position.transactionCount
  const transaction = await signNew({ calldata: batch.calldata, nonce, gas }, deps)
  batches.open(batch, transaction)
  log.info('batch.posting', {
    batchId: batch.id,
    receipts: batch.leaves.length,
    hash: transaction.hash,
  })
  return { againMs: POLL_MS, fault: await broadcast(batch.id, transaction, deps) }
}

/** @returns why the endpoint did not take it, else the fault of earlier versions */
async function broadcast(
  id: number,
  transaction: SignedTransaction,
  { chain, batches }: PosterDeps,
): Promise<Fault | null> {
  const refusal = await chain.broadcast(transaction)
  if (refusal === null) return revertFault(id, batches)
  return {
    code: 'batch.unsent',
    detail: `The chain endpoint does not take batch ${id}: ${refusal}`,
  }
}

function revertFault(id: number, batches: SettlementBatchStore): Fault | null {
  const reverts = countReverts(id, batches)
  const detail = `Batch ${id} was mined and reverted ${reverts} time(s).`
  return reverts === 0 ? null : { code: 'batch.reverted', detail }
}

function countReverts(id: number, batches: SettlementBatchStore): number {
  return batches.versions(id).filter(({ state }) => state === 'dropped').length
}

/** Each reverted version costs gas: the second is sent at once, later ones after growing pauses. */
function pauseAfterReverts(id: number, { batches, batchMs, nowMs }: PosterDeps): number {
  const reverts = countReverts(id, batches)
  if (reverts < 2) return 0
  const sentAtMs = Math.max(...batches.transactions(id).map((sent) => sent.sentAtMs))
  return sentAtMs + Math.min(batchMs * 2 ** Math.min(reverts, 12), LONGEST_PAUSE_MS) - nowMs()
}

/** Takes the next step for a batch that the contract does not have yet. */
async function push(
  open: KeptSettlementBatch,
  position: Position,
  deps: PosterDeps,
): Promise<Step> {
  const { chain, batches, settling, confirmations, log } = deps
  const own = batches.transactions(open.id).filter(({ attempt }) => attempt === open.attempt)
  const newest = own.at(-1)
  invariant(newest, 'a batch is kept with its first transaction')
  const fates: Fate[] = []
  for (const { hash } of own) fates.push(await chain.fate(hash))
  const mined = fates.find((fate) => fate.kind === 'mined')
  if (mined?.kind === 'mined') {
    if (!mined.isReverted || position.headNumber - mined.blockNumber < confirmations)
      return { againMs: POLL_MS, fault: revertFault(open.id, batches) }
    settling.drop(open.id)
    log.warn('batch.reverted', { batchId: open.id, attempt: open.attempt, hash: newest.hash })
    return { againMs: 0, fault: revertFault(open.id, batches) }
  }
  // Another transaction of the poster used the nonce, or a reorganisation removed an earlier one.
  const isStuck = position.transactionCount !== newest.nonce
  if (!isStuck && fates.at(-1)?.kind === 'unknown')
    return { againMs: POLL_MS, fault: await broadcast(open.id, newest, deps) }
  if (deps.nowMs() - newest.sentAtMs < (isStuck ? POLL_MS : RESEND_MS))
    return { againMs: POLL_MS, fault: revertFault(open.id, batches) }
  const bumps = own.filter(({ nonce }) => nonce === position.transactionCount).length
  if (bumps >= MAX_BUMPS || own.length >= MAX_TRANSACTIONS) {
    const detail = `Batch ${open.id} is not mined after ${own.length} transactions.`
    return { againMs: RESEND_MS, fault: { code: 'batch.unmined', detail } }
  }
  log.warn('batch.resent', { batchId: open.id, transactions: own.length + 1 })
  return send(open, { ...newest, nonce: position.transactionCount }, deps)
}

/** Signs the batch again with this nonce and a fee that replaces the last, keeps the transaction and sends it. */
async function send(
  open: KeptSettlementBatch,
  last: KeptTransaction,
  deps: PosterDeps,
): Promise<Step> {
  const { calldata, id, attempt } = open
  const { nonce, gas } = last
  const transaction = await signNew({ calldata, nonce, gas, atLeast: last }, deps)
  deps.batches.addTransaction(id, { ...transaction, attempt })
  return { againMs: POLL_MS, fault: await broadcast(id, transaction, deps) }
}

/** Settles a batch that the contract has, once it is deep enough. */
async function confirm(id: number, position: Position, deps: PosterDeps): Promise<Step> {
  const { chain, batches, settling, queue, confirmations, batchMs, log } = deps
  const root = await chain.receiptRoot(id)
  const landed = batches.versions(id).filter(({ receiptRoot }) => receiptRoot === root)
  if (landed.length === 0) {
    const detail = `Batch ${id} on the chain is not from this ledger: its storage or its contract has changed.`
    return { againMs: batchMs, fault: { code: 'ledger.foreign', detail } }
  }
  const landing = await findLanding(id, landed, deps)
  if (landing === undefined) return { againMs: POLL_MS, fault: null }
  if (position.headNumber - landing.blockNumber < confirmations) {
    batches.markPosted(landing)
    return { againMs: POLL_MS, fault: null }
  }
  settling.settle(landing)
  log.info('batch.settled', { batchId: id, hash: landing.transactionHash })
  const isDone = queue.isEmpty() && batches.current() === undefined
  return { againMs: isDone ? null : batchMs, fault: null }
}

async function findLanding(
  id: number,
  landed: readonly KeptSettlementBatch[],
  { chain, batches }: PosterDeps,
): Promise<Landing | undefined> {
  for (const { hash, attempt } of batches.transactions(id)) {
    if (!landed.some((version) => version.attempt === attempt)) continue
    const fate = await chain.fate(hash)
    if (fate.kind === 'mined' && !fate.isReverted)
      return { id, attempt, transactionHash: hash, blockNumber: fate.blockNumber }
  }
  return undefined
}

interface NewTransaction {
  readonly calldata: KeptSettlementBatch['calldata']
  readonly nonce: number
  readonly gas: bigint
  /** The transaction to replace. Chain nodes require a fee at least a tenth higher. */
  readonly atLeast?: Pick<KeptTransaction, 'maxFeePerGas' | 'maxPriorityFeePerGas'>
}

async function signNew(
  { atLeast, ...call }: NewTransaction,
  { chain, nowMs }: PosterDeps,
): Promise<Omit<KeptTransaction, 'attempt'>> {
  const now = await chain.fees()
  const maxFeePerGas = larger(now.maxFeePerGas, raised(atLeast?.maxFeePerGas))
  const maxPriorityFeePerGas = larger(
    now.maxPriorityFeePerGas,
    raised(atLeast?.maxPriorityFeePerGas),
  )
  const fields = { nonce: call.nonce, gas: call.gas, maxFeePerGas, maxPriorityFeePerGas }
  const signed = await chain.sign({ calldata: call.calldata, ...fields })
  return { ...signed, ...fields, sentAtMs: nowMs() }
}

function raised(fee: bigint | undefined): bigint {
  return fee === undefined ? 0n : (fee * 9n) / 8n + 1n
}

function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}
