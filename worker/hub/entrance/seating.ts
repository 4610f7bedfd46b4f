/** The seats of one hub. When it is full, a node may be displaced. */
import { AppError } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import type { Directory, Member } from '#worker/hub/members/directory.ts'
import type { Admission } from '#worker/protocols/hub.ts'
import { chooseSeat, type Applicant, type Seated, HUB_SEATS_KEPT } from './seats.ts'

interface SeatingDeps {
  readonly directory: Directory
  readonly now: () => number
  readonly log: Log
}

export type Seating = ReturnType<typeof createSeating>

export function createSeating({ directory, now, log }: SeatingDeps) {
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
    const choice = chooseSeat(seated(), applicant)
    if (choice.kind === 'full')
      throw new AppError(
        'no_capacity',
        `The hub is full: ${LIMITS.hubNodes} nodes, of which ${HUB_SEATS_KEPT} are kept for nodes that are vouched for or have answered jobs.`,
      )
    return choice
  }
  return {
    /** Checks a node that has proved its identity. @throws {AppError} no_capacity when nobody leaves for it */
    check: (admission: Admission): void => void choose(applicantOf(admission)),
    /** Seats the node; a displaced node is removed at once. @throws {AppError} no_capacity as above */
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
