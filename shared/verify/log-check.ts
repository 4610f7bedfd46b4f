/** Checks a bundle's log entry by entry: commitments, places in the tree, and whether erasures explain each gap. */
import { hexToBytes, stringToBytes } from 'viem'
import { ERASURE_TYPES, parseDetail, type AuditType } from '#shared/audit/entries.ts'
import type { BundleHead, ProvenEntry } from '#shared/audit/bundle.ts'
import type { LogHead } from '#shared/audit/checkpoint.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import { sha256Bytes } from '#shared/base/native-crypto.ts'
import { canonicalJson } from '#shared/base/strict-json.ts'
import { DigestTable } from '#shared/audit/digest-table.ts'
import { checkLeaf } from './log.ts'
import { lineAbout as line, type BundleLine, type LineName, type LineResult } from './line.ts'
import { countOf, extend, type Tally } from './verdict.ts'

export interface LogContext {
  readonly head: BundleHead
  readonly logHead: LogHead
  /** Heads of the same log from elsewhere: pins and other bundles. */
  readonly known: readonly LogHead[]
  readonly tally: Tally
  readonly emit: (line: BundleLine) => void
}

export interface Found {
  readonly sequence: number
  /** When it was written, by the tenant's clock. */
  readonly atMs: number
  readonly result: LineResult
}

/** Types whose detail may name a policy. */
const JOB_TYPES: ReadonlySet<AuditType> = new Set(['job.admitted', 'job.placed', 'job.refused'])

/** Keeps 32 bytes of each entry's detail, never the entry. */
export class LogCheck {
  /** Readable placements by receipt: the entry, and until when the receipt is kept. A receipt that is found is taken out. */
  readonly placements = new DigestTable()
  /** Hashes of the policies that admissions name. */
  readonly policyHashes = new Set<Bytes32>()
  readonly #context: LogContext
  /** Sequence number and time of entries, by the digest of their detail. */
  readonly #told = new DigestTable()
  readonly #unopened = new Set<number>()
  readonly #hiddenTypes = new Set<AuditType>()
  readonly #erased = new Set<number>()
  readonly #isRange: boolean
  #next: number
  #lastMs = 0
  #count = 0
  #leftOut = 0
  #faults = 0

  constructor(context: LogContext) {
    this.#context = context
    this.#isRange = context.head.selection.job === null
    this.#next = this.#isRange ? context.head.range.from : 0
  }

  /** Takes an entry beside the range. @returns whether it shows that no entry of the time asked for lies beyond it */
  edge(entry: ProvenEntry): boolean {
    const { range, selection } = this.#context.head
    const { sequence, atMs } = entry
    if (!this.#isSound(entry)) return false
    if (sequence === range.from - 1) return selection.fromMs === null || atMs < selection.fromMs
    return sequence === range.to && (selection.toMs === null || atMs > selection.toMs)
  }

  entry(entry: ProvenEntry): void {
    this.#count += 1
    this.#order(entry)
    if (!this.#isSound(entry)) return
    const beyond = beyondNarrowing(entry, this.#context.head)
    if (beyond !== undefined) this.#fail(entry.sequence, 'entry.order', beyond)
    this.#read(entry)
    if (entry.opening !== null) return
    if (isLeftOut(entry.type, this.#context.head)) this.#leftOut += 1
    else {
      this.#unopened.add(entry.sequence)
      this.#hiddenTypes.add(entry.type)
    }
  }

  /** Takes an entry beyond the range that says what was erased in it. */
  erasure(entry: ProvenEntry): void {
    if (this.#isRange && entry.sequence < this.#context.head.range.to)
      this.#fail(entry.sequence, 'entry.order', 'belongs into the range, and is beside it')
    if (this.#isSound(entry)) this.#read(entry)
  }

  /** Finds the entry with exactly this detail, or says whether it may be among the entries that are not shown. */
  find(type: 'job.admitted' | 'job.placed', detail: unknown): Found {
    const found = this.#told.get(digestOf(type, detail))
    if (found !== undefined) return { sequence: found[0], atMs: found[1], result: 'passed' }
    const isHidden = this.#context.tally.gaps.length > 0 || this.#hiddenTypes.has(type)
    return { sequence: -1, atMs: 0, result: isHidden ? 'missing' : 'failed' }
  }

  /** Called once every entry and erasure is read. */
  end(): void {
    const { head, logHead, tally, emit } = this.#context
    if (this.#isRange && this.#next < head.range.to)
      extend(tally.gaps, this.#next, head.range.to - 1)
    for (const sequence of this.#unopened)
      extend(this.#erased.has(sequence) ? tally.erased : tally.withheld, sequence)
    // A leaf does not tell its policy.
    if (head.selection.policy !== null) tally.withheldFor = 'of other policies or withheld'
    for (const [from, to] of tally.gaps)
      emit(line(nameEntries(from, to), 'entry.missing', 'missing', 'in the range, but missing'))
    for (const [from, to] of tally.withheld) {
      const detail = 'without detail, and no erasure in the log says why'
      emit(line(nameEntries(from, to), 'entry.detail', 'missing', detail))
    }
    const without = `${this.#unopened.size} without detail, ${countOf(tally.erased)} of them erased as the log says`
    const more = this.#leftOut === 0 ? '' : `, ${this.#leftOut} left out by the narrowing`
    const detail = `${this.#count} entries of a log of ${logHead.size}, ${without}${more}`
    if (this.#faults === 0) emit(line('log', 'log.entries', true, detail))
  }

  #isSound(entry: ProvenEntry): boolean {
    const { logHead, known, emit } = this.#context
    const { fault, beginnings } = checkLeaf(entry, logHead, known)
    for (const said of beginnings) emit(said)
    if (fault !== undefined) this.#fail(entry.sequence, fault.name, fault.detail)
    return fault === undefined
  }

  #read({ sequence, atMs, type, opening }: ProvenEntry): void {
    if (opening === null) return
    const { job } = this.#context.head.selection
    const { jobId = job } = opening.detail
    if (job !== null && jobId !== job)
      this.#fail(sequence, 'entry.detail', `it belongs to another job than ${job}`)
    try {
      if (type === 'job.placed') {
        const { receiptId, receiptUntilMs } = parseDetail(type, opening.detail)
        this.placements.set(hexToBytes(receiptId), [sequence, receiptUntilMs])
      } else if (type === 'job.admitted') {
        this.policyHashes.add(parseDetail(type, opening.detail).policyHash)
      } else if (type === 'job.erased' || type === 'retention.swept') {
        for (const gone of parseDetail(type, opening.detail).entries)
          if (gone < sequence) this.#erased.add(gone)
      } else parseDetail(type, opening.detail)
    } catch {
      this.#fail(sequence, 'entry.detail', `it is not a detail of ${type}`)
    }
    if (type === 'job.admitted' || type === 'job.placed')
      this.#told.set(digestOf(type, opening.detail), [sequence, atMs])
  }

  #order({ sequence, atMs }: ProvenEntry): void {
    const { range } = this.#context.head
    if (sequence < this.#next) this.#fail(sequence, 'entry.order', `comes after ${this.#next - 1}`)
    else if (this.#isRange) {
      if (sequence >= range.to)
        this.#fail(sequence, 'entry.order', `is not in the range ${range.from} to ${range.to - 1}`)
      else if (sequence > this.#next) extend(this.#context.tally.gaps, this.#next, sequence - 1)
    }
    if (atMs < this.#lastMs) this.#fail(sequence, 'entry.order', 'is older than the one before it')
    this.#next = Math.max(this.#next, sequence + 1)
    this.#lastMs = Math.max(this.#lastMs, atMs)
  }

  #fail(sequence: number, name: LineName, detail: string): void {
    this.#faults += 1
    this.#context.emit(line(`entry ${sequence}`, name, false, detail))
  }
}

/** Tells whether the bundle's narrowing explains by itself that this entry has no detail. */
function isLeftOut(type: AuditType, { selection }: BundleHead): boolean {
  if (selection.type !== null && selection.type !== type) return true
  return selection.policy !== null && !JOB_TYPES.has(type)
}

/** Why a narrowed bundle should not show this entry: its counts would cover more than it says. */
function beyondNarrowing(
  { atMs, type, opening }: ProvenEntry,
  { selection }: BundleHead,
): string | undefined {
  const { fromMs, toMs, policy } = selection
  if ((fromMs !== null && atMs < fromMs) || (toMs !== null && atMs > toMs))
    return 'is outside the time that the bundle was narrowed to'
  // Erasures explain missing details in a bundle of any narrowing.
  if (opening === null || ERASURE_TYPES.has(type)) return undefined
  if (selection.type !== null && type !== selection.type)
    return `is shown, but has another type than ${selection.type}`
  const { policyId = policy } = opening.detail
  const isOfPolicy = policy === null || (JOB_TYPES.has(type) && policyId === policy)
  return isOfPolicy ? undefined : `is shown, but has another policy than ${policy}`
}

function nameEntries(from: number, to: number): string {
  return from === to ? `entry ${from}` : `entries ${from} to ${to}`
}

function digestOf(type: AuditType, detail: unknown): Uint8Array {
  return sha256Bytes(stringToBytes(`${type} ${canonicalJson(detail)}`))
}
