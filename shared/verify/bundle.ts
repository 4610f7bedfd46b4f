/** Checks a bundle part by part against pinned keys and the chain, and names whatever fails or is missing. */
import { hexToBytes } from 'viem'
import { logOrigin } from '#shared/audit/entries.ts'
import {
  BUNDLE_LISTS,
  BundleHead,
  type BundledBatch,
  type BundledJob,
  type BundledPolicy,
  type BundleList,
  type ProvenEntry,
} from '#shared/audit/bundle.ts'
import type { LogHead } from '#shared/audit/checkpoint.ts'
import { NO_DOMAIN } from '#shared/proof/domain.ts'
import type { JsonPart } from '#shared/audit/json-parts.ts'
import { createBatchCheck } from './batches.ts'
import { accessFor, isNoChain, type ChainAccess } from './chain-view.ts'
import { createPolicyCheck, type PolicySum } from './countries.ts'
import { DigestTable } from '#shared/audit/digest-table.ts'
import { checkJob } from './job-check.ts'
import { lineAbout as line, type BundleLine } from './line.ts'
import { findForks, readCheckpoint } from './log.ts'
import { LogCheck } from './log-check.ts'
import { describeFault } from './receipt.ts'
import type { BundleTrust } from './trust.ts'
import { conclude, newTally, some, tallyLine, type Tally, type Verdict } from './verdict.ts'

export interface BundleOutcome {
  readonly verdict: Verdict
  /** States of the log that the bundle shows, for comparison with those of other bundles. */
  readonly heads: readonly LogHead[]
  readonly policies: readonly PolicySum[]
}

/** Receives lines and jobs while the bundle is read; nothing is kept here. */
export interface BundleSink {
  line(line: BundleLine): void
  job?(job: BundledJob, lines: readonly BundleLine[]): void
}

export const LIST_NAMES = Object.keys(BUNDLE_LISTS) as readonly BundleList[]

/** Reports a faulty bundle and never throws for it. @throws what reading the parts throws */
export async function verifyParts(
  parts: AsyncIterable<JsonPart> | Iterable<JsonPart>,
  trust: BundleTrust,
  sink: BundleSink,
): Promise<BundleOutcome> {
  const check = createBundleCheck(trust, sink)
  for await (const part of parts) if (!(await check.part(part))) break
  return check.end()
}

function createBundleCheck(trust: BundleTrust, sink: BundleSink) {
  const tally = newTally('')
  const members: Record<string, unknown> = {}
  let bundle: OpenBundle | undefined
  let isSound = true
  const emit = (said: BundleLine): void => {
    tallyLine(tally, said)
    sink.line(said)
  }
  const refuse = (detail: string): false => {
    emit(line('bundle', 'schema', false, detail))
    isSound = false
    return false
  }
  const open = async (): Promise<boolean> => {
    const head = BundleHead.safeParse(members)
    if (!head.success) return refuse(describeFault(head.error))
    bundle = await openBundle(head.data, { trust, tally, emit, sink })
    return true
  }
  let lists = 0

  return {
    /** @returns whether to go on */
    async part(part: JsonPart): Promise<boolean> {
      if (part.kind === 'member') {
        if (bundle !== undefined)
          return refuse(`${part.name}: comes after the lists, or is not a list`)
        members[part.name] = part.value
        return true
      }
      if (bundle === undefined && !(await open())) return false
      if (part.kind === 'list') {
        const list = LIST_NAMES[lists]
        if (list !== part.name)
          return refuse(`${part.name}: is where ${list ?? 'nothing'} should be`)
        lists += 1
        bundle?.begin(list)
        return true
      }
      const fault = await bundle?.element(LIST_NAMES[lists - 1] ?? 'entries', part.value)
      return fault === undefined || refuse(`${part.name}.${part.index}.${fault}`)
    },

    end(): BundleOutcome {
      if (isSound && lists < LIST_NAMES.length)
        refuse(
          `${LIST_NAMES[lists] ?? ''}: is missing, or not after ${LIST_NAMES[lists - 1] ?? 'the head'}`,
        )
      else if (isSound) bundle?.end()
      tally.scope = bundle?.scope() ?? 'nothing'
      const { allowGaps, within, nowMs = Date.now() } = trust
      const verdict = conclude(tally, { allowGaps, within: within?.names, nowMs })
      return { verdict, heads: bundle?.heads ?? [], policies: bundle?.sums() ?? [] }
    },
  }
}

interface OpenContext {
  readonly trust: BundleTrust
  readonly tally: Tally
  readonly emit: (line: BundleLine) => void
  readonly sink: BundleSink
}

async function openBundle(head: BundleHead, context: OpenContext): Promise<OpenBundle> {
  const { trust, tally, emit } = context
  const chain = accessFor(trust.chain, head.domain)
  tally.isSettled = !isNoChain(chain)
  const origin = logOrigin(head.domain ?? NO_DOMAIN, head.tenant)
  const expected = logOrigin(chain.domain ?? NO_DOMAIN, head.tenant)
  const { head: logHead, line: signed } = await readCheckpoint(head, { origin: expected, trust })
  emit(line('log', 'bundle.domain', origin === expected && isSpelled(head), originOf(head)))
  emit(signed)
  emit(line('log', 'bundle.range', isRange(head, logHead), rangeOf(head, logHead)))
  const known = (trust.seenHeads ?? []).filter((seen) => seen.origin === origin)
  for (const fork of findForks([logHead, ...known])) emit(fork)
  return new OpenBundle(head, { ...context, chain, logHead, known })
}

interface Opened extends OpenContext {
  readonly chain: ChainAccess
  readonly logHead: LogHead
  readonly known: readonly LogHead[]
}

/** A bundle whose head has been read. Takes the elements of its lists in their order. */
class OpenBundle {
  readonly heads: LogHead[]
  readonly #head: BundleHead
  readonly #context: Opened
  readonly #log: LogCheck
  readonly #policies: ReturnType<typeof createPolicyCheck>
  readonly #batches: ReturnType<typeof createBatchCheck>
  readonly #receipts = new DigestTable()
  readonly #edges = new Set<number>()

  constructor(head: BundleHead, context: Opened) {
    this.#head = head
    this.#context = context
    this.heads = [context.logHead]
    this.#log = new LogCheck({ ...context, head })
    this.#policies = createPolicyCheck(head.tenant)
    this.#batches = createBatchCheck({ ...context, head })
  }

  sums = (): PolicySum[] => this.#policies.sums()
  scope = (): string => scopeOf(this.#head, this.#context.logHead, this.#receipts.size)

  begin(list: BundleList): void {
    if (list === 'entries') this.#checkEdges()
    if (list === 'jobs') this.#log.end()
  }

  /** @returns where the element does not fit its schema */
  async element(list: BundleList, value: unknown): Promise<string | undefined> {
    const parsed = BUNDLE_LISTS[list].safeParse(value)
    if (!parsed.success) return describeFault(parsed.error)
    await this.#takers[list](parsed.data as never)
    return undefined
  }

  readonly #takers: { readonly [L in BundleList]: (element: never) => void | Promise<void> } = {
    policies: (policy: BundledPolicy) => {
      const fault = this.#policies.add(policy)
      if (fault !== undefined) this.#context.emit(fault)
    },
    edges: (entry: ProvenEntry) => {
      if (this.#log.edge(entry)) this.#edges.add(entry.sequence)
    },
    entries: (entry: ProvenEntry) => this.#log.entry(entry),
    erasures: (entry: ProvenEntry) => this.#log.erasure(entry),
    jobs: (job: BundledJob) => this.#takeJob(job),
    batches: async (batch: BundledBatch) => {
      for (const said of await this.#batches.batch(batch)) this.#context.emit(said)
      const { size, root } = batch.checkpoint
      this.heads.push({ origin: this.#context.logHead.origin, size, root })
    },
  }

  async #takeJob(job: BundledJob): Promise<void> {
    const { emit, sink, tally, chain, trust } = this.#context
    const { lines, placedAt } = await checkJob(job, {
      head: this.#head,
      trust,
      chain,
      log: this.#log,
    })
    const { id, receipt } = job.receipt
    const digest = hexToBytes(id)
    if (this.#receipts.get(digest) !== undefined)
      emit(line(receipt.ticket.jobId, 'bundle.jobs', false, 'its receipt appears twice'))
    this.#receipts.set(digest, [placedAt, 0])
    this.#log.placements.delete(digest)
    this.#policies.count(job.receipt)
    this.#batches.job(job, placedAt)
    for (const said of lines) emit(said)
    sink.job?.(job, lines)
    if (job.settlement !== null || isNoChain(chain)) return
    tally.pending += 1
    if (this.#head.settlesWithinMs === null) return
    const byMs = receipt.finishedAtMs + this.#head.settlesWithinMs
    tally.settlesByMs = Math.max(tally.settlesByMs ?? 0, byMs)
  }

  end(): void {
    const { trust, tally, emit } = this.#context
    for (const [receiptId, [sequence, receiptUntilMs]] of this.#log.placements.entries()) {
      const isOver = receiptUntilMs <= (trust.nowMs ?? Date.now())
      if (!isOver) tally.receiptsMissing += 1
      const detail = isOver ? 'its retention has ended' : `its receipt ${receiptId} is missing`
      emit(line(`entry ${sequence}`, 'job.receipt', isOver || 'missing', detail))
    }
    const receipts = some(this.#receipts.size, 'receipt')
    emit(line('bundle', 'bundle.jobs', true, `${receipts}, each once`))
    for (const said of this.#policies.end(this.#log.policyHashes)) this.#part(said)
    for (const said of this.#batches.end()) this.#part(said)
    for (const fork of findForks(this.heads)) emit(fork)
  }

  /** The entries beside a range of time show that the range is complete. */
  #checkEdges(): void {
    const { range, selection } = this.#head
    if (selection.job !== null) return
    const wanted = [
      ...(selection.fromMs !== null && range.from > 0 ? [range.from - 1] : []),
      ...(selection.toMs !== null && range.to < this.#context.logHead.size ? [range.to] : []),
    ]
    for (const sequence of wanted) {
      const detail = `entry ${sequence} beside the range shows that the range is complete`
      this.#part(line('log', 'log.edges', this.#edges.has(sequence) || 'missing', detail))
    }
  }

  /** Emits a line about a part other than an entry or a receipt. */
  #part(said: BundleLine): void {
    if (said.result === 'missing') this.#context.tally.otherMissing += 1
    this.#context.emit(said)
  }
}

/** A contract's address has many spellings that read the same; a bundle must use one. */
function isSpelled({ domain }: BundleHead): boolean {
  return domain === null || domain.verifyingContract === domain.verifyingContract.toLowerCase()
}

function originOf({ tenant, domain }: BundleHead): string {
  return domain === null
    ? `tenant ${tenant} of a deployment without a chain`
    : `tenant ${tenant} on chain ${domain.chainId}, contract ${domain.verifyingContract}`
}

/** Tells whether the range is part of the log. A bundle of one job covers the whole log. */
function isRange({ range: { from, to }, selection }: BundleHead, { size }: LogHead): boolean {
  if (selection.job !== null) return from === 0 && to === size
  return from <= to && to <= size
}

function rangeOf({ range, selection }: BundleHead, { size }: LogHead): string {
  if (selection.job !== null) return `${selection.job} alone`
  if (range.from === range.to) return `no entry of a log of ${size}`
  return `entries ${range.from} to ${range.to - 1} of a log of ${size}`
}

function scopeOf(head: BundleHead, logHead: LogHead, receipts: number): string {
  const { type, policy, fromMs, toMs } = head.selection
  const time = (at: number | null) => (at === null ? '…' : new Date(at).toISOString())
  const narrowed = [
    ...(fromMs === null && toMs === null ? [] : [`of ${time(fromMs)} to ${time(toMs)}`]),
    ...(type === null ? [] : [`only ${type}`]),
    ...(policy === null ? [] : [`only policy ${policy}`]),
  ]
  return [rangeOf(head, logHead), ...narrowed, some(receipts, 'receipt')].join(', ')
}
