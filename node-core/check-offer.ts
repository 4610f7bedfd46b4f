/** The node's checks before it runs a job: the ticket, the policy against its own place, the bytes. */
import { AppError } from '#shared/base/errors.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import { policyHash } from '#shared/law/compile-policy.ts'
import { decide, type NodeFacts } from '#shared/law/decide.ts'
import type { CompiledPolicy } from '#shared/law/policy.ts'
import { commitment, digestBytes } from '#shared/receipt/receipt.ts'
import { countryBit, countryCode } from '#shared/law/region.ts'
import { stringToBytes } from 'viem'
import type { JobOffer, Welcome } from '#p2p/stream/messages.ts'

export interface NodeSelf {
  readonly nodeId: string
  /** Alpha-2 code of the country that this node claims. */
  readonly claim: string
  readonly welcome: Welcome
  readonly nowMs: number
}

/**
 * Checks an offer in full, before anything of it runs.
 * @throws {AppError} residency_unsatisfiable when the policy excludes this node, forbidden for any other fault
 */
export async function checkOffer(
  offer: JobOffer,
  payload: Uint8Array,
  self: NodeSelf,
): Promise<void> {
  checkTicket(offer, self)
  checkResidency(offer, self)
  const { ticket, work, salt } = offer
  const digest = work.kind === 'kernel' ? await digestBytes(stringToBytes(work.wgsl)) : work.digest
  if (digest !== ticket.workDigest || work.digest !== digest)
    refuse('the work is not what the ticket was issued for')
  if (commitment(salt, await digestBytes(payload)) !== ticket.inputCommitment) {
    refuse('the input is not what the ticket was issued for')
  }
}

/** The hub's encrypted stream brought the ticket, so it needs no signature of its own. */
function checkTicket({ ticket }: JobOffer, self: NodeSelf): void {
  const { hub } = self.welcome
  if (ticket.nodeId !== self.nodeId) refuse(`the ticket is for node ${ticket.nodeId}`)
  if (ticket.hub !== hub) refuse(`the ticket is from hub ${ticket.hub}`)
  if (ticket.expiresAtMs < self.nowMs) refuse('the ticket has expired')
}

/** The node enforces the policy against its own claim; it does not trust the hub's filter. */
export function checkResidency({ ticket, policy }: JobOffer, self: Omit<NodeSelf, 'nowMs'>): void {
  if (
    hashOf(policy) !== policy.hash ||
    policy.hash !== ticket.policyHash ||
    policy.tenant !== ticket.tenant
  ) {
    refuse('the policy is not the one that the ticket names')
  }
  if (ticket.place.country !== countryBit(self.claim)) {
    throw new AppError(
      'residency_unsatisfiable',
      `The ticket places this node in ${countryCode(ticket.place.country)}; it stands in ${self.claim}.`,
      { meta: { rule: 'node.place' } },
    )
  }
  const facts: NodeFacts = {
    country: countryBit(self.claim),
    evidence: self.welcome.place.evidence,
    possible: self.welcome.place.possible,
    trust: self.welcome.place.trust,
    voucher: self.welcome.place.voucher,
    networks: self.welcome.networks,
    quarantined: self.welcome.quarantine !== null,
  }
  const verdict = decide(policy, ticket.allowed, facts)
  if (verdict !== 'allow') {
    throw new AppError(
      'residency_unsatisfiable',
      `Policy ${policy.id} v${policy.version} excludes this node (${self.claim}) by rule ${verdict}.`,
      { meta: { rule: verdict } },
    )
  }
}

/** Hashes that were computed here. A stream keeps a policy as one object, which nobody changes. */
const hashes = new WeakMap<CompiledPolicy, Bytes32>()

function hashOf(policy: CompiledPolicy): Bytes32 {
  const hash = hashes.get(policy) ?? policyHash(policy)
  hashes.set(policy, hash)
  return hash
}

function refuse(detail: string): never {
  throw new AppError('forbidden', `The node refuses this job: ${detail}.`)
}
