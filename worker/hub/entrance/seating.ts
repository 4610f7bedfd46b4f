/** The seats of one hub. When it is full, a node may be displaced. */
import { AppError } from '#shared/base/errors.ts'
import type { Log } from '#shared/base/log.ts'
import type { Directory, Member } from '#worker/hub/members/directory.ts'
import type { Admission } from '#worker/protocols/hub.ts'
import type { NextHub } from '#worker/summary/registry.ts'
import { chooseSeat, seatsKept, type Applicant, type Seated } from './seats.ts'

export interface SeatingDeps {
  readonly directory: Directory
  readonly now: () => number
  readonly log: Log
  readonly isDraining: boolean
  /** Most nodes. */
  readonly seats: number
  /** Another hub with a free seat, if one is known. */
  readonly next: () => NextHub | null
}

export type Seating = ReturnType<typeof createSeating>

export function createSeating(deps: SeatingDeps) {
  const { directory, now, log, isDraining, seats: capacity, next } = deps
  const refuse = (why: string): never => {
    const other = next()
    const meta = other === null ? {} : { next: other }
    throw new AppError('hub_full', why, { meta })
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
  const choose = (applicant: Applicant) => {
    if (isDraining) return refuse('The hub takes no more nodes: it is about to close.')
    const choice = chooseSeat(seated(), applicant, capacity)
    // Nobody has to leave for a node that another hub can seat.
    if (choice.kind === 'full' || (choice.kind === 'displace' && next() !== null))
      return refuse(
        `The hub is full: ${capacity} nodes, of which ${seatsKept(capacity)} are kept for nodes that are vouched for or have answered jobs.`,
      )
    return choice
  }
  return {
    /** Checks a node that has proved its identity. @throws {AppError} hub_full when nobody leaves for it */
    check: (admission: Admission): void => void choose(applicantOf(admission)),
    /** Seats the node; a displaced node is removed at once. @throws {AppError} hub_full as above */
    take(member: Member, admission: Admission): void {
      const applicant = applicantOf(admission)
      const choice = choose(applicant)
      const leaver = choice.kind === 'displace' ? directory.get(choice.nodeId) : undefined
      if (leaver !== undefined) {
        log.info('node.displaced', { nodeId: leaver.admission.nodeId })
        directory.remove(leaver)
        leaver.link.close().catch(() => {})
      }
      seats.set(member, { applicant, sinceMs: now() })
      void member.link.closed.then(() => seats.delete(member))
      directory.add(member)
    },
  }
}
