/** Shows the evidence of a node's place. */
import { KM_PER_RTT_MS } from '#shared/place/conclude-evidence.ts'
import { EvidenceRecord } from '#shared/place/evidence.ts'
import type { EvidenceClass, EvidenceSource } from '#shared/law/policy.ts'
import { listCountries } from '#shared/law/region.ts'
import { countryName, nameList } from '../page/countries.ts'
import { facts, folded, list, paragraph, remark } from '../page/blocks.ts'
import { h, type Child } from '../page/dom.ts'
import { table, time } from '../page/parts.ts'
import type { NetworkNode } from '#shared/api/network.ts'
import { fill, type ViewContext } from '../page/view.ts'
import { count, fromNow } from '../page/words.ts'

const CLASS_MEANS: Readonly<Record<EvidenceClass, string>> = {
  contradicted: 'An observation contradicts the country that the node claims. It gets no work.',
  declared: 'Only the node itself claims this country.',
  observed: 'Its connection comes from this country.',
  bounded: 'Round trips to several anchors are so short that only some countries are possible.',
  attested: 'The operator has signed a statement that the node is there.',
}

const SOURCE_MEANS: Readonly<Record<EvidenceSource, string>> = {
  none: 'nobody but the node',
  edge: 'the edge that accepted its connection',
  proxy: 'the operator’s own proxy',
  operator: 'the operator',
  simulated: 'a simulation for development, which proves nothing',
  anchors: 'round trips to anchors',
}

/** Shows the reasons and expiry of a node's evidence class, and the full record for a key with scope audit. */
export function nodeEvidence(context: ViewContext, node: NetworkNode): Child {
  const { evidence, source, country, evidenceReasons, evidenceUntilMs, relaySuspected } = node
  return [
    paragraph(CLASS_MEANS[evidence]),
    reasonList(evidenceReasons.filter((reason) => reason !== node.quarantine)),
    relaySuspected && relayNote(),
    facts(
      ['Claimed country', countryName(country)],
      ['Reported by', SOURCE_MEANS[source]],
      evidenceUntilMs !== null && ['Valid until', expiry(evidenceUntilMs)],
    ),
    context.session.can('audit') && inputsOnDemand(context, node.nodeId),
  ]
}

/** Reads the record when the user opens it, not for every node of the page. */
function inputsOnDemand({ session, signal }: ViewContext, nodeId: string): HTMLElement {
  const inputs = h('div', { class: 'stack' })
  let isAsked = false
  const load = () => {
    if (isAsked) return
    isAsked = true
    const path = `/v1/nodes/${nodeId}/evidence`
    void fill(
      inputs,
      async () => recordInputs(await session.api.get(path, EvidenceRecord, signal)),
      signal,
    )
  }
  return h('details', { ontoggle: load }, h('summary', {}, 'Full evidence'), inputs)
}

function reasonList(reasons: readonly string[]): Child {
  if (reasons.length === 0) return null
  return list(reasons, 'reasons')
}

function relayNote(): HTMLElement {
  const text = 'The round-trip times suggest that the connection is relayed.'
  return remark(text)
}

/** Shows a whole record: the reasons for its class, and its inputs. */
export function recordFacts(record: EvidenceRecord): Child {
  return [reasonList(record.reasons), recordInputs(record)]
}

function recordInputs(record: EvidenceRecord): Child {
  const { observation, echoes, attestation, possible } = record
  return [
    facts(
      ['Claimed country', countryName(record.claim)],
      ['Connection comes from', observedText(observation)],
      ['Possible countries', nameList(listCountries(possible), 12)],
      attestation !== null && ['Operator signed', attestedText(attestation)],
      ['Concluded', [time(record.concludedAtMs), ` by ${record.hub}`]],
      ['Valid until', expiry(record.expiresAtMs)],
    ),
    record.relaySuspected && relayNote(),
    echoes.length > 0 && echoDetails(record),
  ]
}

function attestedText({ statement }: NonNullable<EvidenceRecord['attestation']>): Child {
  return [`${countryName(statement.country)}, until `, time(statement.expiresAtMs)]
}

function expiry(atMs: number): Child {
  return [time(atMs), ` (${fromNow(atMs, Date.now())})`]
}

function observedText({ country, source, asn, network }: EvidenceRecord['observation']): string {
  const where =
    country === null ? 'unknown' : `${countryName(country)}, reported by ${SOURCE_MEANS[source]}`
  return `${where}${network === 'unknown' ? '' : `; ${network} network`}${asn === null ? '' : `, AS${asn}`}`
}

function echoDetails({ echoes }: EvidenceRecord): HTMLElement {
  return folded(
    `Round trips of ${count(echoes.length, 'anchor')}`,
    table(
      'Signed round trips by anchor, shortest first',
      [
        { head: 'Anchor', cell: ({ statement }) => statement.anchor },
        {
          head: 'Signed round trip',
          cell: ({ statement }) => `${statement.minRttMs.toFixed(1)} ms`,
          isNumber: true,
        },
        {
          head: 'Transport round trip',
          cell: ({ statement: { transportRttMs } }) =>
            transportRttMs === null ? 'not measured' : `${transportRttMs.toFixed(1)} ms`,
          isNumber: true,
        },
        {
          head: 'Within',
          cell: ({ statement: { minRttMs, place } }) =>
            `${Math.round(minRttMs * KM_PER_RTT_MS + place.slackKm).toLocaleString('en')} km`,
          isNumber: true,
        },
        { head: 'Samples', cell: ({ statement }) => statement.samples, isNumber: true },
        { head: 'Measured', cell: ({ statement }) => time(statement.measuredAtMs) },
      ],
      echoes,
    ),
  )
}
