/**
 * Brings batches to the chain, one after another, each exactly once.
 *
 * Every step asks the chain where it stands and does the one next thing, so that being killed between any two steps
 * only repeats a step: a batch and its transaction are kept before they are sent, what was sent is sent again as it is,
 * and a batch counts as landed by the root that the contract holds, whichever version or transaction brought it there.
 */
import type { FaultCode } from '#shared/api/network.ts'
import { invariant } from '#shared/base/errors.ts'
import type { Log } from '#shared/base/log.ts'
import { EMPTY_ROOT } from '#shared/receipt/merkle.ts'
import type {
  BatchStore,
  KeptBatch,
  KeptTransaction,
  Landing,
} from '#worker/ledger/batches/batch-store.ts'
import type { Batch } from '#worker/ledger/intake/batch.ts'
import type { Fate, LedgerChain, Position, SignedTransaction } from '#worker/ledger/chain/chain.ts'
import type { Fault } from '#worker/protocols/ledger-fault.ts'
import { composeBatch, type ComposeDeps } from '#worker/ledger/batches/compose.ts'

/** How often a transaction on its way is looked at. */
export const POLL_MS = 500
/** A transaction that is not mined by then is sent again with a higher fee. */
export const RESEND_MS = 60_000
/** Transactions with the same nonce, each with a higher fee, and with any nonce; after that somebody has to look. */
const MAX_BUMPS = 20
const MAX_TRANSACTIONS = 200
const LONGEST_PAUSE_MS = 3_600_000

export interface PosterDeps extends ComposeDeps {
  readonly chain: LedgerChain
  readonly batches: BatchStore
  readonly batchMs: number
  /** Blocks on top of a batch's own before it counts as settled. */
  readonly confirmations: number
  readonly log: Log
}

/** After how many ms to step again (null: when there is something new), and why nothing moves. */
export interface Step {
  readonly againMs: number | null
  readonly fault: Fault | null
}

/** Does the next thing. @throws what the chain endpoint throws; nothing is lost by it */
export async function stepPoster(deps: PosterDeps): Promise<Step> {
  const { chain, queue, batches, settling, batchMs } = deps
  if (!batches.isFor(chain.domain))
    return {
      againMs: batchMs,
      fault: foreign('The batches kept here are for another chain or contract.'),
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
  const batch = await composeBatch({ id, parentRoot }, deps)
  if (batch === null) return { againMs: queue.isEmpty() ? null : batchMs, fault: null }
  return post(batch, position, deps)
}

/**
 * The oldest of the newest batches whose root on the chain is not the one that settled here: the chain went back
 * further than we wait for, and another version landed.
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

/** Sends a new batch for the first time. */
async function post(batch: Batch, position: Position, deps: PosterDeps): Promise<Step> {
  const { chain, batches, batchMs, log } = deps
  const estimated = await chain.estimate(batch.calldata)
  if ('revert' in estimated)
    return {
      againMs: batchMs,
      fault: fault('batch.refused', `The contract refuses batch ${batch.id}: ${estimated.revert}`),
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

/** Why the endpoint did not take it; else what became of the versions before. */
async function broadcast(
  id: number,
  transaction: SignedTransaction,
  { chain, batches }: PosterDeps,
): Promise<Fault | null> {
  const refusal = await chain.broadcast(transaction)
  if (refusal === null) return revertFault(id, batches)
  return fault('batch.unsent', `The chain endpoint does not take batch ${id}: ${refusal}`)
}

function revertFault(id: number, batches: BatchStore): Fault | null {
  const reverts = countReverts(id, batches)
  if (reverts === 0) return null
  return fault('batch.reverted', `Batch ${id} was mined and reverted ${reverts} time(s).`)
}

function countReverts(id: number, batches: BatchStore): number {
  return batches.versions(id).filter(({ state }) => state === 'dropped').length
}

/** Each version that reverts costs gas: the second is sent at once, those after it later and later. */
function pauseAfterReverts(id: number, { batches, batchMs, nowMs }: PosterDeps): number {
  const reverts = countReverts(id, batches)
  if (reverts < 2) return 0
  const sentAtMs = Math.max(...batches.transactions(id).map((sent) => sent.sentAtMs))
  return sentAtMs + Math.min(batchMs * 2 ** Math.min(reverts, 12), LONGEST_PAUSE_MS) - nowMs()
}

function fault(code: FaultCode, detail: string): Fault {
  return { code, detail }
}

function foreign(detail: string): Fault {
  return fault('ledger.foreign', detail)
}

/** Sees a batch through that the contract does not have yet. */
async function push(open: KeptBatch, position: Position, deps: PosterDeps): Promise<Step> {
  const { chain, batches, settling, confirmations, log } = deps
  const own = batches.transactions(open.id).filter(({ attempt }) => attempt === open.attempt)
  const newest = own.at(-1)
  invariant(newest, 'a batch is kept with its first transaction')
  const fates = await readFates(own, chain)
  const mined = fates.find((fate) => fate.kind === 'mined')
  if (mined?.kind === 'mined') {
    if (!mined.isReverted || position.headNumber - mined.blockNumber < confirmations)
      return { againMs: POLL_MS, fault: revertFault(open.id, batches) }
    settling.drop(open.id)
    log.warn('batch.reverted', { batchId: open.id, attempt: open.attempt, hash: newest.hash })
    return { againMs: 0, fault: revertFault(open.id, batches) }
  }
  // Another transaction of the poster took the nonce, or a reorganisation took away one before it.
  const isStuck = position.transactionCount !== newest.nonce
  if (!isStuck && fates.at(-1)?.kind === 'unknown')
    return { againMs: POLL_MS, fault: await broadcast(open.id, newest, deps) }
  if (deps.nowMs() - newest.sentAtMs < (isStuck ? POLL_MS : RESEND_MS))
    return { againMs: POLL_MS, fault: revertFault(open.id, batches) }
  const bumps = own.filter(({ nonce }) => nonce === position.transactionCount).length
  if (bumps >= MAX_BUMPS || own.length >= MAX_TRANSACTIONS) {
    const detail = `Batch ${open.id} is not mined after ${own.length} transactions.`
    return { againMs: RESEND_MS, fault: fault('batch.unmined', detail) }
  }
  log.warn('batch.resent', { batchId: open.id, transactions: own.length + 1 })
  return send(open, { ...newest, nonce: position.transactionCount }, deps)
}

/** Signs the batch once more, with the nonce given and a fee that replaces the last one, keeps it and sends it. */
async function send(open: KeptBatch, last: KeptTransaction, deps: PosterDeps): Promise<Step> {
  const { calldata, id, attempt } = open
  const { nonce, gas } = last
  const transaction = await signNew({ calldata, nonce, gas, atLeast: last }, deps)
  deps.batches.addTransaction(id, { ...transaction, attempt })
  return { againMs: POLL_MS, fault: await broadcast(id, transaction, deps) }
}

/** The contract has the batch: settles it once it is deep enough. */
async function confirm(id: number, position: Position, deps: PosterDeps): Promise<Step> {
  const { chain, batches, settling, queue, confirmations, batchMs, log } = deps
  const root = await chain.receiptRoot(id)
  const landed = batches.versions(id).filter(({ receiptRoot }) => receiptRoot === root)
  if (landed.length === 0)
    return {
      againMs: batchMs,
      fault: foreign(
        `Batch ${id} on the chain is none of this ledger's: its storage or its contract is not the one it had.`,
      ),
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
  landed: readonly KeptBatch[],
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

async function readFates(
  transactions: readonly KeptTransaction[],
  chain: LedgerChain,
): Promise<Fate[]> {
  const fates: Fate[] = []
  for (const { hash } of transactions) fates.push(await chain.fate(hash))
  return fates
}

interface NewTransaction {
  readonly calldata: KeptBatch['calldata']
  readonly nonce: number
  readonly gas: bigint
  /** A transaction to be replaced: nodes want at least a tenth more. */
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
