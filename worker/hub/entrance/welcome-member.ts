/** Makes a connected node a member of the hub: work stream, checks, welcome, seat, and evidence of its place. */
import type { Connection } from '@libp2p/interface'
import type { Clock } from '#p2p/stream/clock.ts'
import { WORK_PROTOCOL } from '#p2p/stream/frames.ts'
import { WORK_VERSION, type Hello, type KeptReceipt, type Welcome } from '#p2p/stream/messages.ts'
import type { Budget } from '#p2p/stream/peer-budget.ts'
import { openWork } from '#p2p/work/work-client.ts'
import { AppError } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import type { PresenceRecord, SignedPresence } from '#shared/node/node.ts'
import { verifyPresence } from '#shared/node/presence.ts'
import type { Directory, Member } from '#worker/hub/members/directory.ts'
import { tellConclusion } from '#worker/hub/members/quarantine.ts'
import type { Anchor } from '#worker/hub/place/anchor.ts'
import type { Attestations } from '#worker/hub/place/attestations.ts'
import type { KnownEchoes } from '#worker/hub/place/known-echoes.ts'
import { createEvidenceKeeper, type EvidenceKeeper } from '#worker/hub/place/member-evidence.ts'
import type { Admission } from '#worker/protocols/hub.ts'
import type { Seating } from './seating.ts'
import type { Vouchers } from './vouchers.ts'

export interface WelcomeDeps {
  readonly directory: Directory
  /** The hub's part of the welcome. */
  readonly greeting: Pick<Welcome, 'hub' | 'hubKey' | 'domain'>
  readonly evidence: EvidenceDeps
  readonly vouchers: Vouchers
  readonly seating: Seating
  readonly onReceipt: (kept: KeptReceipt) => Promise<void>
  readonly onChange: () => void
  /** For the work streams. */
  readonly clock: Clock
}

export interface EvidenceDeps {
  /** Null for a hub without a declared place: it measures nobody. */
  readonly anchor: Anchor | null
  readonly attestations: Pick<Attestations, 'of'>
  readonly echoes: KnownEchoes
  readonly now: () => number
}

/** A connected node, with the limits of its connection. */
export interface Visitor {
  readonly connection: Connection
  readonly admission: Admission
  readonly bytes: Budget
  readonly log: Log
}

/** @throws {AppError} the reason for a refusal; the connection is still open then */
export async function welcomeMember(visitor: Visitor, deps: WelcomeDeps): Promise<void> {
  const { connection, admission, bytes, log } = visitor
  const { nodeId } = admission
  const stream = await connection.newStream(WORK_PROTOCOL, {
    signal: AbortSignal.timeout(LIMITS.openTimeoutMs),
  })
  let member: Member | undefined
  const evidence = keepEvidence(deps, admission, () => {
    if (member !== undefined) onEvidence(member, evidence, { deps, log })
  })
  let presence: PresenceRecord | undefined
  const link = await openWork(stream, {
    welcome: async (hello) => {
      presence = await checkHello(hello, admission, deps)
      const { hub, hubKey, domain } = deps.greeting
      const [place, quarantine] = [evidence.place(), evidence.quarantine()]
      const { networks } = admission
      return { version: WORK_VERSION, hub, hubKey, domain, place, networks, quarantine }
    },
    onReceipt: deps.onReceipt,
    onWork: (costBytes) => bytes.earn(costBytes),
    onPresence: async (signed) => {
      deps.directory.refresh(await readOwnPresence(signed, nodeId), signed)
      deps.onChange()
    },
    log,
    clock: deps.clock,
  })
  if (presence === undefined)
    throw new AppError('internal', 'The node was welcomed without a presence record.')
  member = {
    admission,
    evidence,
    link,
    presence,
    signedPresence: link.hello.presence,
    quarantine: evidence.quarantine(),
    jobsDone: 0,
    serviceMs: new Map(),
  }
  await seat(member, visitor, deps)
  onEvidence(member, evidence, { deps, log })
  deps.evidence.anchor?.attend(link, admission, (echo) => {
    deps.evidence.echoes.add(echo)
    evidence.addEcho(echo)
  })
}

/** @throws {AppError} no_capacity, forbidden */
async function checkHello(
  hello: Hello,
  admission: Admission,
  { directory, vouchers, seating }: WelcomeDeps,
): Promise<PresenceRecord> {
  const { nodeId, claim } = admission
  const presence = await readOwnPresence(hello.presence, nodeId)
  const barredMs = directory.barredMs(nodeId)
  if (barredMs > 0) {
    const retryAfterSeconds = Math.ceil(barredMs / 1000)
    throw new AppError(
      'no_capacity',
      `This node was silent on jobs that it had taken; it may return in ${retryAfterSeconds} s.`,
      { meta: { retryAfterSeconds } },
    )
  }
  if (presence.claim !== claim)
    throw new AppError(
      'forbidden',
      `The presence record claims ${presence.claim}, the admission ${claim}.`,
    )
  // Checked last: both may have changed since the node asked for admission.
  await vouchers.check(admission)
  seating.check(admission)
  return presence
}

/** Replaces the old member before closing it, so that of two connections at once none stays open and uncounted. */
async function seat(
  member: Member,
  { connection, admission, log }: Visitor,
  { directory, seating, vouchers, onChange }: WelcomeDeps,
): Promise<void> {
  const { nodeId, claim: country } = admission
  const before = directory.get(nodeId)
  seating.take(member, admission)
  vouchers.attend(member)
  void member.link.closed.then(() => {
    directory.remove(member)
    log.info('node.left', { nodeId })
    onChange()
    return connection.close()
  })
  await before?.link.close()
  log.info('node.joined', { nodeId, country, evidence: member.evidence.place().evidence })
  onChange()
}

function keepEvidence(
  { greeting, evidence }: WelcomeDeps,
  admission: Admission,
  onChange: () => void,
): EvidenceKeeper {
  const { nodeId, claim, trust, voucher, observation } = admission
  return createEvidenceKeeper({
    nodeId,
    claim,
    trust,
    voucher: voucher?.tenant ?? null,
    observation,
    hub: greeting.hub,
    echoes: evidence.echoes.of(nodeId),
    attestation: evidence.attestations.of(nodeId),
    now: evidence.now,
    onChange,
  })
}

/** Tells the node its conclusion before any ticket names it. */
function onEvidence(
  member: Member,
  evidence: EvidenceKeeper,
  { deps, log }: { readonly deps: WelcomeDeps; readonly log: Log },
): void {
  const refutation = evidence.quarantine()
  if (refutation !== null && refutation !== member.quarantine)
    log.warn('node.quarantined', { nodeId: member.admission.nodeId, reason: refutation })
  deps.directory.judge(member, refutation)
  tellConclusion(member)
  deps.onChange()
}

async function readOwnPresence(signed: SignedPresence, nodeId: string): Promise<PresenceRecord> {
  const record = await verifyPresence(signed)
  if (record.nodeId === nodeId) return record
  throw new AppError('forbidden', 'The presence record is for another node.')
}
