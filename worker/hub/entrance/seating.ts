/** The seats of one hub. When it is full, a node may be displaced. */
import { AppError } from '#shared/base/errors.ts'
import type { Log } from '#shared/base/log.ts'
import type { Directory, Member } from '#worker/hub/members/directory.ts'
import type { Admission } from '#worker/protocols/hub.ts'
import { chooseSeat, seatsKept, type Applicant, type Seated } from './seats.ts'

export interface SeatingDeps {
  /** The hub's name. */
  readonly hub: string
  readonly directory: Directory
  readonly now: () => number
  readonly log: Log
  readonly isDraining: boolean
  /** Most nodes. */
  readonly seats: number
  /** Whether another hub of the region has a seat, as far as is known. */
  readonly hasSeatsElsewhere: () => boolean
}

export type Seating = ReturnType<typeof createSeating>

export function createSeating(deps: SeatingDeps) {
  const { directory, now, log, isDraining, seats: capacity, hasSeatsElsewhere } = deps
  const refuse = (admission: Admission, why: string): never => {
    const next = hubAfter(deps.hub, admission)
    throw new AppError('hub_full', why, { meta: next === undefined ? {} : { next } })
  }
  const seats = new Map<Member, { readonly applicant: Applicant; readonly sinceMs: number }>()
  const applicantOf = ({ nodeId, block, voucher }: Admission): Applicant => ({
    nodeId,
    block,
    hasStanding: voucher !== null || directory.hasAnswered(nodeId),
  })
  const seated = (): Seated[] =>
    directory.members().flatMap((member) => {
      const seat = seats.get(member)
      if (seat === undefined) return []
      const hasStanding = seat.applicant.hasStanding || member.jobsDone > 0
      return {
        ...seat.applicant,
        hasStanding,
        inFlight: member.link.inFlight(),
        jobsDone: member.jobsDone,
        isQuarantined: member.quarantine !== null,
        seatedForMs: now() - seat.sinceMs,
      }
    })
  const choose = (admission: Admission) => {
    if (isDraining) return refuse(admission, 'The hub takes no more nodes: it is about to close.')
    const choice = chooseSeat(seated(), applicantOf(admission), capacity)
    // Nobody has to leave for a node that another hub can seat.
    if (choice.kind === 'full' || (choice.kind === 'displace' && hasSeatsElsewhere()))
      return refuse(
        admission,
        `The hub is full: ${capacity} nodes, of which ${seatsKept(capacity)} are kept for nodes that are vouched for or have answered jobs.`,
      )
    return choice
  }
  return {
    /** Checks a node that has proved its identity. @throws {AppError} hub_full when nobody leaves for it */
    check: (admission: Admission): void => void choose(admission),
    /** Seats the node; a displaced node is removed at once. @throws {AppError} hub_full as above */
    take(member: Member, admission: Admission): void {
      const choice = choose(admission)
      const leaver = choice.kind === 'displace' ? directory.get(choice.nodeId) : undefined
      if (leaver !== undefined) {
        log.info('node.displaced', { nodeId: leaver.admission.nodeId })
        directory.remove(leaver)
        leaver.link.close().catch(() => {})
      }
      seats.set(member, { applicant: applicantOf(admission), sinceMs: now() })
      void member.link.closed.then(() => seats.delete(member))
      directory.add(member)
    },
  }
}

/** The hub that the node's admission names after this one. The node asks for another admission if there is none. */
function hubAfter(own: string, { hubs }: Admission) {
  const named = Object.entries(hubs)
  const after = named.findIndex(([hub]) => hub === own) + 1
  const [hub, peerId] = named[after] ?? []
  return hub === undefined || peerId === undefined ? undefined : { hub, peerId }
}
