/** Checks a bundle against nothing but pinned keys and the chain, or what was pinned of it, and names whatever does not hold. */
import { bytesToHex, isAddress } from 'viem'
import {
  checkpointLeaf,
  commitDetail,
  leafBytes,
  logOrigin,
  parseDetail,
  type AuditDetail,
  type AuditType,
} from '#shared/audit.ts'
import { AuditBundle, type BundledBatch, type BundledJob } from '#shared/audit-bundle.ts'
import { admissionOf, placementOf } from '#shared/audit-receipt.ts'
import { canonicalJson } from '#shared/canonical-json.ts'
import { isNoteSignedBy, parseLogHead, parseNote, type LogHead } from '#shared/checkpoint.ts'
import { nameHash, type Bytes32 } from '#shared/ids.ts'
import { verifyMerkleProof } from '#shared/merkle.ts'
import { leafHash, verifyConsistency, verifyInclusion } from '#shared/transparency-log.ts'
import { verifyEvidence, type EvidenceTrust } from '#scripts/lib/verify-evidence.ts'
import { verifyReceipt, type VerificationLine } from '#scripts/lib/verify-receipt.ts'
import type { ChainView } from '#scripts/lib/chain-view.ts'

export interface BundleTrust extends EvidenceTrust {
  readonly chain: ChainView
  /** Ed25519 public keys, one of which signed the checkpoint. */
  readonly logKeys: readonly Bytes32[]
  /** @default false */
  readonly allowSimulated?: boolean
}

/** A line about the log, a batch or a job. */
export interface BundleLine extends VerificationLine {
  readonly about: string
}

export interface BundleVerification {
  readonly ok: boolean
  readonly lines: readonly BundleLine[]
  /** The log's states that the bundle shows: to be compared with those of other bundles. */
  readonly heads: readonly LogHead[]
}

/** Never throws for what is wrong with the bundle. */
export async function verifyBundle(
  document: unknown,
  trust: BundleTrust,
): Promise<BundleVerification> {
  const parsed = AuditBundle.safeParse(document)
  if (!parsed.success) {
    const fault = parsed.error.issues[0]
    const detail = `${fault?.path.join('.') ?? ''}: ${fault?.message ?? 'not a bundle'}`
    const broken = { about: 'bundle', name: 'schema', result: 'failed', detail } as const
    return { ok: false, lines: [broken], heads: [] }
  }
  const bundle = parsed.data
  const origin = logOrigin(trust.chain.domain, bundle.tenant)
  const { head, line: signed } = await readCheckpoint(bundle, { origin, trust })
  const lines: BundleLine[] = [
    line('log', 'bundle.domain', isSameDomain(bundle, trust.chain), originOf(bundle)),
    signed,
    ...checkEntries(bundle, head),
    ...(await checkBatches(bundle, { head, chain: trust.chain })),
  ]
  const logged = indexEntries(bundle)
  for (const job of bundle.jobs) lines.push(...(await checkJob(job, { bundle, trust, logged })))
  lines.push(...checkCompleteness(bundle))
  const heads = [head, ...bundle.batches.map(({ checkpoint }) => ({ origin, ...checkpoint }))]
  lines.push(...findForks(heads))
  return { ok: lines.every(({ result }) => result !== 'failed'), lines, heads }
}

/** Two roots for one size of one log: whoever signed them showed two people different pasts. */
export function findForks(heads: readonly LogHead[]): BundleLine[] {
  const roots = new Map<string, Bytes32>()
  const forks: BundleLine[] = []
  for (const { origin, size, root } of heads) {
    const name = `${origin} ${size}`
    const known = roots.get(name)
    if (known !== undefined && known !== root) {
      const detail = `of ${size} entries there are two logs, ${known} and ${root}`
      forks.push(line('log', 'log.fork', false, detail))
    }
    roots.set(name, root)
  }
  return forks
}

const NO_HEAD: LogHead = { origin: '', size: 0, root: `0x${'0'.repeat(64)}` }

async function readCheckpoint(
  { checkpoint }: AuditBundle,
  { origin, trust }: { readonly origin: string; readonly trust: BundleTrust },
): Promise<{ readonly head: LogHead; readonly line: BundleLine }> {
  const note = parseNote(checkpoint)
  const head = note && parseLogHead(note.text)
  if (note === undefined || head === undefined)
    return { head: NO_HEAD, line: line('log', 'log.checkpoint', false, 'it is no checkpoint') }
  const keys = trust.logKeys.map((publicKey) => ({ name: origin, publicKey }))
  const signed = await Promise.all(keys.map((key) => isNoteSignedBy(note, key)))
  // One signature and no more: another that nobody checks could be anything.
  const ok = head.origin === origin && signed.includes(true) && note.signatures.length === 1
  const detail = `${head.size} entries, root ${head.root}, signed by a pinned key`
  return { head, line: line('log', 'log.checkpoint', ok, detail) }
}

function isSameDomain({ domain }: AuditBundle, chain: ChainView): boolean {
  return (
    domain.chainId === chain.domain.chainId &&
    domain.verifyingContract === chain.domain.verifyingContract.toLowerCase()
  )
}

function originOf({ tenant, domain }: AuditBundle): string {
  return `tenant ${tenant} on chain ${domain.chainId}, contract ${domain.verifyingContract}`
}

/** One line for each kind of fault; a bundle of a thousand whole entries needs no thousand lines. */
function checkEntries({ entries }: AuditBundle, { size, root }: LogHead): BundleLine[] {
  const failed: BundleLine[] = []
  let before = -1
  for (const entry of entries) {
    const { sequence: index, type, opening, commitment, proof } = entry
    const about = `entry ${index}`
    const leaf = bytesToHex(leafHash(leafBytes(entry)))
    if (index <= before) failed.push(line(about, 'entry.order', false, `comes after ${before}`))
    before = index
    if (!verifyInclusion({ index, size, root, leaf, proof }))
      failed.push(line(about, 'entry.inclusion', false, `${type} is not in the log of ${size}`))
    if (opening !== null && commitDetail(opening.salt, opening.detail) !== commitment)
      failed.push(line(about, 'entry.detail', false, 'the detail is not what the leaf commits to'))
  }
  const erased = entries.filter(({ opening }) => opening === null).length
  // Nobody can tell an entry that was erased from one whose detail was held back, nor why some are not here: so both are said.
  const detail = `entries ${rangesOf(entries)} of ${size}, ${erased} of them without detail: erased or withheld`
  return failed.length > 0 ? failed : [line('log', 'log.entries', true, detail)]
}

/** `0 to 3, 7, 9 to 11`; the first gaps of many. */
function rangesOf(entries: AuditBundle['entries']): string {
  const ranges: [number, number][] = []
  for (const { sequence } of entries) {
    const last = ranges.at(-1)
    if (last?.[1] === sequence - 1) last[1] = sequence
    else ranges.push([sequence, sequence])
  }
  const shown = ranges.slice(0, 8).map(([a, b]) => (a === b ? `${a}` : `${a} to ${b}`))
  return `${shown.join(', ')}${ranges.length > 8 ? ' and more' : ''}`
}

async function checkBatches(
  { batches, tenant, jobs }: AuditBundle,
  { head, chain }: { readonly head: LogHead; readonly chain: ChainView },
): Promise<BundleLine[]> {
  const lines: BundleLine[] = []
  let before = 0
  for (const batch of batches) {
    const { batchId, checkpoint, logRoot } = batch
    const about = `batch ${batchId}`
    const transaction = jobs.find((job) => job.settlement?.batchId === batchId)?.settlement
    const posted = transaction && (await chain.postedBy(transaction.transactionHash))
    const isPosted = posted?.batchId === batchId && posted.logRoot === logRoot
    const isOwn = checkpoint.tenant === nameHash(tenant)
    const isUnder = verifyMerkleProof(logRoot, checkpointLeaf(checkpoint), batch.proof)
    lines.push(
      line(about, 'batch.order', batchId > before, 'each batch once, in order'),
      line(about, 'batch.log_root', isPosted, `log root ${logRoot}, as posted`),
      line(about, 'batch.log', isOwn && isUnder, `the log of ${checkpoint.size} under that root`),
      line(about, 'log.consistency', isConsistent(batch, head), grows(batch, head)),
    )
    before = batchId
  }
  return lines
}

function isConsistent({ checkpoint, consistency }: BundledBatch, head: LogHead): boolean {
  return verifyConsistency({
    from: checkpoint.size,
    to: head.size,
    fromRoot: checkpoint.root,
    toRoot: head.root,
    proof: consistency,
  })
}

function grows({ checkpoint, batchId }: BundledBatch, { size }: LogHead): string {
  return `the log of ${size} begins with the ${checkpoint.size} entries settled in batch ${batchId}; else it has forked`
}

async function checkJob(
  { receipt, evidence, settlement }: BundledJob,
  { bundle, trust, logged }: JobContext,
): Promise<BundleLine[]> {
  const { ticket } = receipt.receipt
  const status = settlement === null ? 'pending' : 'settled'
  const document = { receipt, salt: null, status, refusal: null, settlement }
  const { chain, allowSimulated = false } = trust
  const { lines } = await verifyReceipt(document, { chain, allowSimulated })
  const proven = [...lines, ...(await verifyEvidence(receipt, evidence, trust))]
  // A contract's address has a second spelling, with a checksum; there is no third.
  const isSpelled = isAddress(receipt.domain.verifyingContract, { strict: true })
  const placed = logged('job.placed', placementOf(receipt))
  const admitted = logged('job.admitted', admissionOf(receipt))
  const batch = bundle.batches.find(({ batchId }) => batchId === settlement?.batchId)
  const isCovered = batch !== undefined && placed < batch.checkpoint.size
  return [
    ...proven.map((each) => ({ ...each, about: ticket.jobId })),
    line(ticket.jobId, 'job.tenant', ticket.tenant === bundle.tenant && isSpelled, ticket.tenant),
    line(
      ticket.jobId,
      'log.admitted',
      admitted >= 0,
      `${entryName(admitted)} tells of this ticket`,
    ),
    line(ticket.jobId, 'log.placed', placed >= 0, `${entryName(placed)} tells of this receipt`),
    line(ticket.jobId, 'batch.covers', isCovered, coverage(batch, placed)),
  ]
}

function entryName(sequence: number): string {
  return sequence < 0 ? 'no entry' : `entry ${sequence}`
}

function coverage(batch: BundledBatch | undefined, placed: number): string {
  if (batch === undefined) return 'the batch that settled it is not in the bundle'
  return `entry ${placed} is among the ${batch.checkpoint.size} of batch ${batch.batchId}`
}

/** Which entry says exactly this; -1 when none does. */
type Logged = (type: AuditType, detail: unknown) => number

interface JobContext {
  readonly bundle: AuditBundle
  readonly trust: BundleTrust
  readonly logged: Logged
}

function indexEntries({ entries }: AuditBundle): Logged {
  const nameOf = (type: AuditType, detail: unknown) => `${type} ${canonicalJson(detail)}`
  const known = new Map(
    entries.flatMap(({ type, sequence, opening }) =>
      opening === null ? [] : [[nameOf(type, opening.detail), sequence] as const],
    ),
  )
  return (type, detail) => known.get(nameOf(type, detail)) ?? -1
}

/** Each placement that can be read has its receipt, each job stands once, and no batch without a job. */
function checkCompleteness({ entries, jobs, batches }: AuditBundle): BundleLine[] {
  const ids = new Set<string>(jobs.map(({ receipt }) => receipt.id))
  const lines = [line('bundle', 'bundle.jobs', ids.size === jobs.length, 'each job once')]
  for (const { sequence, type, opening } of entries) {
    if (type !== 'job.placed' || opening === null) continue
    const parsed = readPlacement(opening.detail)
    if (parsed === undefined) {
      lines.push(line(`entry ${sequence}`, 'entry.detail', false, 'it is no placement'))
      continue
    }
    if (ids.has(parsed.receiptId)) continue
    const isErased = parsed.receiptUntilMs <= Date.now()
    const detail = isErased ? 'its retention has ended' : 'its receipt is missing'
    lines.push(line(parsed.jobId, 'job.receipt', isErased, detail))
  }
  for (const { batchId } of batches) {
    if (jobs.some(({ settlement }) => settlement?.batchId === batchId)) continue
    lines.push(line(`batch ${batchId}`, 'batch.jobs', false, 'no job of the bundle is in it'))
  }
  return lines
}

function readPlacement(detail: unknown): AuditDetail<'job.placed'> | undefined {
  try {
    return parseDetail('job.placed', detail)
  } catch {
    return undefined
  }
}

function line(about: string, name: string, ok: boolean, detail: string): BundleLine {
  return { about, name, result: ok ? 'passed' : 'failed', detail }
}
