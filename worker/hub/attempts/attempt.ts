/** One attempt at a job on one node: ticket, run, check, and the receipt into the outbox before anybody has the whole answer. */
import { bytesToHex } from 'viem'
import type { Domain } from '#shared/proof/domain.ts'
import { AppError } from '#shared/base/errors.ts'
import type { EvidenceRecord } from '#shared/place/evidence.ts'
import type { Address, RandomBytes } from '#shared/base/ids.ts'
import type { Work } from '#shared/job/job.ts'
import type { ModelManifest } from '#shared/job/model.ts'
import { decide } from '#shared/law/decide.ts'
import type { Ticket } from '#shared/receipt/receipt.ts'
import type { TextEvent } from '#shared/job/text.ts'
import { createTextMeter, type TextMeter } from '#shared/job/text-meter.ts'
import type { JobOffer, JobResult } from '#p2p/stream/messages.ts'
import type { Job } from './job.ts'
import { createByteSink, type ByteSink } from './byte-sink.ts'
import { checkResult, UnacceptableAnswer, type CheckedReceipt } from './check-result.ts'
import { factsOf, type Directory, type Member } from '#worker/hub/members/directory.ts'
import type { ReceiptSigning } from '#worker/hub/receipts/signing.ts'
import type { DispatchRequest, DispatchResult } from '#worker/protocols/hub.ts'
import type { SilenceWatch } from './silence.ts'
import { issueTicket } from './ticket.ts'

export interface AttemptDeps {
  readonly hub: string
  readonly domain: Domain
  readonly directory: Directory
  readonly signing: ReceiptSigning
  readonly manifests: readonly ModelManifest[]
  readonly now: () => number
  readonly randomBytes: RandomBytes
}

export interface Attempt {
  readonly member: Member
  readonly attempt: number
  readonly watch: SilenceWatch
}

/** @throws {AppError} node_lost for an unacceptable answer, node_timeout when the job was taken away, or the error of node or link */
export async function attemptJob(
  job: Job,
  { member, attempt, watch }: Attempt,
  deps: AttemptDeps,
): Promise<DispatchResult> {
  const { request } = job
  const salt = bytesToHex(deps.randomBytes(32))
  // Read once: the receipt must name the record that the ticket was written from.
  const evidence = member.evidence.record()
  const ticket = issueTicket(
    { request, member, attempt, salt, inputDigest: job.inputDigest },
    { hub: deps.hub, nowMs: deps.now() },
  )
  const { policy, work, traceparent } = request
  const offer: JobOffer = { ticket, policy, work, salt, traceparent }
  checkStill(request, member, ticket)
  const sentAtMs = deps.now()
  const ended = deps.signing.begin()
  try {
    const run = askNode(job, { member, watch, offer }, deps)
    const answered = await watch.answer(run)
    const { consumer } = request
    await keepReceipt(deps.signing, { answered, offer, member, consumer, evidence })
    member.jobsDone += 1
    return outcomeOf(job, { attempt, sentAtMs, answered })
  } finally {
    ended()
  }
}

interface Answered {
  readonly attempt: number
  readonly sentAtMs: number
  readonly answered: NodesAnswer
}

function outcomeOf(
  { request, arrivedAtMs, loadMs }: Job,
  { attempt, sentAtMs, answered: { result, payload, checked, roundTripMs } }: Answered,
): DispatchResult {
  const { id, receipt } = checked
  const { ticket } = receipt
  const computeMs = Math.min(result.answer.computeMs, roundTripMs)
  return {
    payload,
    outcome: {
      receiptId: id,
      nodeId: ticket.nodeId,
      place: ticket.place,
      answer: result.answer,
      units: receipt.units,
      amountMicroUsd: receipt.amountMicroUsd,
      timing: {
        queueMs: sentAtMs - arrivedAtMs - loadMs,
        ...(loadMs > 0 ? { loadMs } : {}),
        networkMs: roundTripMs - computeMs,
        computeMs,
      },
      attempts: attempt - (request.firstAttempt ?? 1) + 1,
    },
  }
}

export function manifestOf(
  work: Work,
  manifests: readonly ModelManifest[],
): ModelManifest | undefined {
  return manifests.find(({ id }) => 'model' in work && id === work.model)
}

interface Asked {
  readonly member: Member
  readonly watch: SilenceWatch
  readonly offer: JobOffer
}

interface NodesAnswer {
  readonly result: JobResult
  readonly payload: Uint8Array
  readonly checked: CheckedReceipt
  readonly roundTripMs: number
}

/** Runs the job on the node and checks the answer. If another node has the job by then, only the time is recorded. */
async function askNode(
  job: Job,
  { member, watch, offer }: Asked,
  deps: AttemptDeps,
): Promise<NodesAnswer> {
  const { work, units } = job.request
  const { ticket, salt } = offer
  const output = createByteSink()
  const meter = work.kind === 'text' ? createTextMeter(work.maxTokens) : undefined
  const taking = { ticket, output, meter, watch }
  const sentAtMs = deps.now()
  try {
    const result = await member.link.run(offer, job.payload, {
      cancellation: watch.cancellation,
      onChunk: (bytes) => takeChunk(job, taking, bytes),
      onEnd: () => watch.nodeEnded(),
    })
    const roundTripMs = deps.now() - sentAtMs
    const payload = output.bytes()
    const checked = await checkResult(result, payload, {
      ticket,
      work,
      manifest: manifestOf(work, deps.manifests),
      meter,
      salt,
      receiptKey: member.presence.receiptKey,
      domain: deps.domain,
      nowMs: deps.now(),
    })
    deps.directory.recordService(member, work, { ms: roundTripMs, units })
    // Nobody gets this answer or pays for it, so the node may forget its receipt.
    if (!watch.isFirst()) member.link.acknowledge([checked.id])
    return { result, payload, checked, roundTripMs }
  } catch (error) {
    if (error instanceof UnacceptableAnswer) deps.directory.quarantine(member, error.detail)
    throw error
  }
}

/**
 * Decides again at the last moment: the node may have changed since the choice. The ticket's place must be allowed too,
 * because settlement will judge it.
 */
function checkStill({ policy, allowed }: DispatchRequest, member: Member, { place }: Ticket): void {
  const facts = factsOf(member)
  const now = decide(policy, allowed, facts)
  const verdict = now === 'allow' ? decide(policy, allowed, { ...facts, ...place }) : now
  if (verdict !== 'allow')
    throw new AppError('no_capacity', `The node is no longer allowed (${verdict}).`)
}

interface Taking {
  readonly ticket: Ticket
  readonly output: ByteSink
  readonly meter: TextMeter | undefined
  readonly watch: SilenceWatch
}

async function takeChunk(
  job: Job,
  { ticket, output, meter, watch }: Taking,
  bytes: Uint8Array,
): Promise<void> {
  output.push(bytes)
  const events = readEvents(meter, bytes)
  if (job.isWhole || !watch.isWaiting()) return
  const said = events.reduce((sum, event) => sum + lengthOf(event), 0)
  if (said > 0) watch.heard(said)
  // Bytes without text do not begin the answer, so another node may still get the job.
  if (!job.isBegun && meter !== undefined && said === 0) return
  const head = { nodeId: ticket.nodeId, place: ticket.place }
  await watch.taking(job.push(head, job.isBegun ? bytes : output.bytes().slice()))
}

/** Length of an event's text; the end counts as one. */
function lengthOf(event: TextEvent): number {
  return event.type === 'end' ? 1 : event.text.length
}

function readEvents(meter: TextMeter | undefined, bytes: Uint8Array): readonly TextEvent[] {
  try {
    return meter?.push(bytes) ?? []
  } catch (cause) {
    throw new UnacceptableAnswer('node_lost', 'The node sent events that cannot be read.', {
      cause,
    })
  }
}

interface Kept extends Pick<Attempt, 'member'> {
  readonly answered: NodesAnswer
  readonly offer: JobOffer
  readonly consumer: Address | null
  readonly evidence: EvidenceRecord | null
}

/** Resolves once the receipt is durable here. The node may then forget it. */
async function keepReceipt(
  signing: ReceiptSigning,
  { answered: { result, checked }, offer, member, consumer, evidence }: Kept,
): Promise<void> {
  await signing.keep({
    id: checked.id,
    receipt: checked.bytes,
    ticket: checked.receipt.ticket,
    nodeSignature: result.nodeSignature,
    salt: offer.salt,
    consumer,
    policy: offer.policy,
    presence: member.signedPresence,
    evidence,
  })
  member.link.acknowledge([checked.id])
}
