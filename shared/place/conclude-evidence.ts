/** Concludes the class of evidence of a node's place: one pure rule per class, over inputs with checked signatures. */
import { countryDistances } from './country-distance.ts'
import type { EvidenceRecord, SignedEcho } from './evidence.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { EvidenceClass, EvidenceSource } from '#shared/law/policy.ts'
import {
  COUNTRIES,
  countryBit,
  countrySet,
  listCountries,
  onlyCountry,
  type CountrySet,
} from '#shared/law/region.ts'

/** Lifetime of a conclusion about a place. */
const EVIDENCE_TTL_MS = 900_000
/** Lifetime of a measured round trip. */
export const ECHO_TTL_MS = 3_600_000

/**
 * Kilometres that one millisecond of round trip bounds, in any medium: light in vacuum covers 299,792.458 km a second
 * (https://physics.nist.gov/cgi-bin/cuu/Value?c), and half of that counts, because it goes there and back.
 */
export const KM_PER_RTT_MS = 150
/** The same in glass, with an index of about 1.47. It shows what is likely in texts, and proves nothing. */
export const FIBRE_KM_PER_RTT_MS = 100
/** The node's own hub and two others. */
export const BOUND_ANCHORS = 3
/** A node is not bounded when its nearest anchor leaves more than this: half the world would be possible. */
export const BOUND_RADIUS_KM = 3_000
/** A relay is suspected when signed round trips exceed twice the transport's, and exceed it by this much. */
const RELAY_EXCESS_MS = 25

/** The inputs of a conclusion, as the record keeps them. */
export type EvidenceInputs = Readonly<
  Pick<EvidenceRecord, 'nodeId' | 'hub' | 'claim' | 'observation' | 'attestation'>
> & { readonly echoes: readonly SignedEcho[] }

interface Finding {
  readonly holds: boolean
  readonly reasons: readonly string[]
}

/** The caller has checked all signatures; this judges times. */
export function concludeEvidence(inputs: EvidenceInputs, nowMs: number): EvidenceRecord {
  const echoes = usableEchoes(inputs, nowMs)
  const contradicted = findContradiction(inputs, echoes)
  const observed = findObserved(inputs)
  const relay = findRelay(inputs, echoes)
  const seen = { isObserved: observed.holds, isRelayed: relay.holds }
  const bounded = findBounded(inputs, echoes, seen)
  const attested = findAttested(inputs, nowMs)
  const verdict = strongest({ contradicted, attested, bounded, observed })
  const counted = verdict === 'bounded' ? echoes : []
  const findings = [contradicted, observed, relay, bounded, attested]
  return {
    version: 1,
    nodeId: inputs.nodeId,
    hub: inputs.hub,
    claim: inputs.claim,
    observation: inputs.observation,
    echoes,
    attestation: inputs.attestation,
    class: verdict,
    source: sourceOf(verdict, inputs, echoes),
    possible: verdict === 'bounded' ? bounded.possible : onlyCountry(countryBit(inputs.claim)),
    relaySuspected: relay.holds,
    reasons: findings.flatMap(({ reasons }) => reasons).slice(0, 32),
    concludedAtMs: nowMs,
    expiresAtMs: Math.min(
      nowMs + EVIDENCE_TTL_MS,
      ...counted.map(({ statement }) => statement.measuredAtMs + ECHO_TTL_MS),
      ...(verdict === 'attested' ? [inputs.attestation?.statement.expiresAtMs ?? nowMs] : []),
    ),
  }
}

function strongest(
  found: Readonly<Record<Exclude<EvidenceClass, 'declared'>, Finding>>,
): EvidenceClass {
  const order = ['contradicted', 'attested', 'bounded', 'observed'] as const
  return order.find((each) => found[each].holds) ?? 'declared'
}

/** The shortest fresh round trip of each anchor. A clock that is ahead by more than the allowed skew proves nothing. */
function usableEchoes({ nodeId, echoes }: EvidenceInputs, nowMs: number): SignedEcho[] {
  const best = new Map<string, SignedEcho>()
  for (const echo of echoes) {
    const { statement } = echo
    const ageMs = nowMs - statement.measuredAtMs
    if (statement.nodeId !== nodeId) continue
    if (ageMs > ECHO_TTL_MS || ageMs < -LIMITS.clockSkewMs) continue
    const known = best.get(statement.anchor)
    if (known === undefined || statement.minRttMs < known.statement.minRttMs)
      best.set(statement.anchor, echo)
  }
  return [...best.values()]
    .toSorted((a, b) => a.statement.minRttMs - b.statement.minRttMs)
    .slice(0, LIMITS.evidenceAnchors)
}

/** `contradicted`: seen elsewhere, or nearer to an anchor than the claimed country is. */
function findContradiction(
  { claim, observation }: EvidenceInputs,
  echoes: readonly SignedEcho[],
): Finding {
  const reasons: string[] = []
  const { country } = observation
  if (country !== null && country !== claim) {
    reasons.push(
      `The node claims ${claim}, but its connection comes from ${country}, as ${SEEN_BY[observation.source]} sees it.`,
    )
  }
  const bit = countryBit(claim)
  for (const { statement } of echoes) {
    const radiusKm = radiusOf(statement)
    const distanceKm = countryDistances(statement.place)[bit] ?? 0
    if (distanceKm <= radiusKm) continue
    reasons.push(
      `The node claims ${claim}, but it answered anchor ${statement.anchor} in ${ms(statement.minRttMs)}, so it is within ` +
        `${km(radiusKm)} of it; ${claim} is at least ${km(distanceKm)} away.`,
    )
  }
  return { holds: reasons.length > 0, reasons }
}

/** `observed`: the edge sees the claimed country, on a network whose addresses tell a place. */
function findObserved({ claim, observation }: EvidenceInputs): Finding {
  const { country, network, asn, listVersion, source } = observation
  if (network === 'tor') return no('The connection comes over Tor, which says nothing of a place.')
  if (network === 'hosting') {
    const what = asn === null ? 'a hosting network' : `AS${asn}, a hosting or VPN network`
    return no(
      `The connection comes from ${what} (list of ${listVersion}): its address says nothing of a place.`,
    )
  }
  if (country === null) return no('Nobody saw which country the connection comes from.')
  if (country !== claim) return no()
  const list =
    network === 'unknown'
      ? 'its network is not known, so that hosting networks could not be left out'
      : `AS${asn} is not on the list of hosting networks of ${listVersion}`
  return yes(`The connection comes from ${country}, as ${SEEN_BY[source]} sees it; ${list}.`)
}

function yes(reason: string): Finding {
  return { holds: true, reasons: [reason] }
}

function no(...reasons: readonly string[]): Finding {
  return { holds: false, reasons }
}

const SEEN_BY: Readonly<Record<EvidenceSource, string>> = {
  none: 'nobody',
  edge: 'the edge',
  proxy: "the operator's proxy",
  operator: 'the operator',
  simulated: 'a simulation',
  anchors: 'the anchors',
}

/** Finds a reason not to call a node bounded although its transport is near. It is not a class and costs nothing else. */
function findRelay({ hub }: EvidenceInputs, echoes: readonly SignedEcho[]): Finding {
  const own = echoes.find(({ statement }) => statement.anchor === hub)?.statement
  if (own === undefined || own.transportRttMs === null) return no()
  const { minRttMs, transportRttMs } = own
  const isFar = minRttMs - transportRttMs > RELAY_EXCESS_MS && minRttMs > 2 * transportRttMs
  if (!isFar) return no()
  return yes(
    `relay_suspected: the connection itself answers in ${ms(transportRttMs)}, the node's key only in ${ms(minRttMs)}; somebody may pass it on.`,
  )
}

/** `bounded`: three anchors' circles leave few countries; the claimed one is observed, or the only one left. */
function findBounded(
  inputs: EvidenceInputs,
  echoes: readonly SignedEcho[],
  { isObserved, isRelayed }: { readonly isObserved: boolean; readonly isRelayed: boolean },
): Finding & { readonly possible: CountrySet } {
  const possible = possibleCountries(echoes)
  const claimed = onlyCountry(countryBit(inputs.claim))
  const not = (reason: string) => ({ ...no(`Not bounded: ${reason}`), possible })
  if (!echoes.some(({ statement }) => statement.anchor === inputs.hub))
    return not(`its hub ${inputs.hub} has not measured it as an anchor.`)
  const anchors = countAnchors(echoes)
  if (anchors < BOUND_ANCHORS)
    return not(`${anchors} of the ${BOUND_ANCHORS} anchors that it needs have measured it.`)
  if (isRelayed) return not('a relay is suspected.')
  const nearestKm = Math.min(...echoes.map(({ statement }) => radiusOf(statement)))
  if (nearestKm > BOUND_RADIUS_KM)
    return not(
      `its nearest anchor leaves ${km(nearestKm)}, more than ${km(BOUND_RADIUS_KM)}. A long round trip proves nothing and costs nothing.`,
    )
  if (!isObserved && possible !== claimed)
    return not('nobody sees it in the country that it claims, and the circles leave others.')
  const circles = echoes.map(
    ({ statement }) =>
      `${statement.anchor} ${ms(statement.minRttMs)} (${km(radiusOf(statement))}; in glass about ${km(statement.minRttMs * FIBRE_KM_PER_RTT_MS)})`,
  )
  const reason = `Bounded by round trips to ${circles.join(', ')}: ${describe(possible)} possible.`
  return { ...yes(reason), possible }
}

/** Counts keys: echoes have different anchor names already, and one anchor may sign under several. */
function countAnchors(echoes: readonly SignedEcho[]): number {
  return new Set(echoes.map(({ anchorKey }) => `${anchorKey.x}${anchorKey.y}`)).size
}

export function possibleCountries(echoes: readonly SignedEcho[]): CountrySet {
  const circles = echoes.map(({ statement }) => ({
    radiusKm: radiusOf(statement),
    distancesKm: countryDistances(statement.place),
  }))
  const isPossible = (bit: number): boolean =>
    circles.every(({ radiusKm, distancesKm }) => (distancesKm[bit] ?? 0) <= radiusKm)
  return countrySet(COUNTRIES.filter((_, bit) => isPossible(bit)))
}

/** `attested`: an operator signed for this node, this country and this time. */
function findAttested({ nodeId, claim, attestation }: EvidenceInputs, nowMs: number): Finding {
  if (attestation === null) return no()
  const { statement } = attestation
  const until = new Date(statement.expiresAtMs).toISOString()
  const not = (reason: string) => no(`Not attested: ${reason}`)
  if (statement.nodeId !== nodeId) return not(`the statement is about node ${statement.nodeId}.`)
  if (statement.country !== claim)
    return not(`the operator says ${statement.country}, the node ${claim}.`)
  if (statement.issuedAtMs > nowMs + LIMITS.clockSkewMs)
    return not('the statement is from the future.')
  if (statement.expiresAtMs <= nowMs) return not(`the statement ended on ${until}.`)
  return yes(`An operator signed that the node stands in ${claim}, until ${until}.`)
}

function sourceOf(
  verdict: EvidenceClass,
  { observation }: EvidenceInputs,
  echoes: readonly SignedEcho[],
): EvidenceSource {
  const isMadeUp = echoes.some(({ statement }) => statement.place.isSimulated)
  if (verdict === 'attested') return 'operator'
  if (verdict === 'declared') return 'none'
  if (isMadeUp && verdict === 'bounded') return 'simulated'
  if (observation.country === null) return isMadeUp ? 'simulated' : 'anchors'
  return observation.source
}

function radiusOf({ minRttMs, place }: SignedEcho['statement']): number {
  return minRttMs * KM_PER_RTT_MS + place.slackKm
}

function describe(possible: CountrySet): string {
  const codes = listCountries(possible)
  if (codes.length > 12) return `${codes.length} countries`
  return codes.length === 0 ? 'no country is' : codes.join(', ')
}

function ms(value: number): string {
  return `${value < 10 ? value.toFixed(2) : value.toFixed(1)} ms`
}

function km(value: number): string {
  return `${Math.round(value).toLocaleString('en')} km`
}
