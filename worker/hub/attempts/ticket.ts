/** Issues dispatch tickets, one for each attempt, signed by the hub. */
import { typedDigest, type Domain } from '#shared/proof/domain.ts'
import { NodeId, type Bytes32, type Signature } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { commitment, ticketHash, type Ticket } from '#shared/receipt/receipt.ts'
import type { Signer } from '#shared/proof/signature.ts'
import type { Member } from '#worker/hub/members/directory.ts'
import type { DispatchRequest } from '#worker/protocols/hub.ts'
import { invariant } from '#shared/base/errors.ts'

export const TICKET_TTL_MS = 120_000
invariant(TICKET_TTL_MS > LIMITS.jobTimeoutMs, 'A ticket outlasts its job.')

export interface TicketContext {
  readonly hub: string
  readonly signer: Signer
  readonly domain: Domain
  readonly nowMs: number
}

export interface TicketInput {
  readonly request: DispatchRequest
  readonly member: Member
  readonly attempt: number
  readonly salt: Bytes32
  readonly inputDigest: Bytes32
}

export async function issueTicket(
  { request, member, attempt, salt, inputDigest }: TicketInput,
  context: TicketContext,
): Promise<{ ticket: Ticket; ticketSignature: Signature }> {
  const ticket: Ticket = {
    jobId: request.jobId,
    attempt,
    hub: context.hub,
    nodeId: NodeId.parse(member.admission.nodeId),
    tenant: request.tenant,
    policyHash: request.policy.hash,
    allowed: request.allowed,
    place: member.evidence.place(),
    workDigest: request.work.digest,
    inputCommitment: commitment(salt, inputDigest),
    units: request.units,
    priceMicroUsd: request.priceMicroUsd,
    issuedAtMs: context.nowMs,
    expiresAtMs: context.nowMs + TICKET_TTL_MS,
  }
  const ticketSignature = await context.signer.sign(typedDigest(context.domain, ticketHash(ticket)))
  return { ticket, ticketSignature }
}
