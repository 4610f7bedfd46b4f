/** What a node's place was concluded from, in words. */
import { KM_PER_RTT_MS } from '#shared/place/conclude-evidence.ts'
import { EvidenceRecord } from '#shared/place/evidence.ts'
import type { EvidenceClass, EvidenceSource } from '#shared/law/policy.ts'
import { listCountries } from '#shared/law/region.ts'
import { countryName, nameList } from '../page/countries.ts'
import { h, type Child } from '../page/dom.ts'
import { table, time } from '../page/parts.ts'
import type { NetworkNode } from '#shared/api/network.ts'
import { fill, type ViewContext } from '../page/view.ts'
import { count, fromNow } from '../page/words.ts'

export const CLASS_MEANS: Readonly<Record<EvidenceClass, string>> = {
  contradicted: 'Something seen says that it is not where it claims to be. It gets no work.',
  declared: 'Only the node itself says so.',
  observed: 'Its connection comes from there.',
  bounded: 'Round trips to several anchors are so short that only some countries are possible.',
  attested: 'The operator has signed that it stands there.',
}

export const SOURCE_MEANS: Readonly<Record<EvidenceSource, string>> = {
  none: 'nobody but the node',
  edge: 'the edge that took its connection',
  proxy: 'the operator’s own proxy',
  operator: 'the operator',
  simulated: 'nobody: the place is made up for development and proves nothing',
  anchors: 'round trips to the anchors',
}

/** Reasons and expiry, and all inputs for a key that may audit. */
export function nodeEvidence(context: ViewContext, node: NetworkNode): Child {
  const { evidence, source, country, evidenceReasons, evidenceUntilMs, relaySuspected } = node
  return [
    h('p', {}, CLASS_MEANS[evidence]),
    reasonList(evidenceReasons.filter((reason) => reason !== node.quarantine)),
    relaySuspected && relayNote(),
    h(
      'dl',
      { class: 'facts' },
      h('dt', {}, 'Claims'),
      h('dd', {}, countryName(country)),
      h('dt', {}, 'Seen by'),
      h('dd', {}, SOURCE_MEANS[source]),
      evidenceUntilMs !== null && [
        h('dt', {}, 'Holds until'),
        h('dd', {}, time(evidenceUntilMs), ` (${fromNow(evidenceUntilMs, Date.now())})`),
      ],
    ),
    context.session.can('audit') && inputsOnDemand(context, node.nodeId),
  ]
}

/** Asked for when somebody looks: a page of nodes does not ask for each of them. */
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
  return h(
    'details',
    { ontoggle: load },
    h('summary', {}, 'All that it was concluded from'),
    inputs,
  )
}

function reasonList(reasons: readonly string[]): Child {
  if (reasons.length === 0) return null
  return h(
    'ul',
    { class: 'reasons' },
    reasons.map((reason) => h('li', {}, reason)),
  )
}

function relayNote(): HTMLElement {
  const text = 'The round trips look as if somebody passes the connection on.'
  return h('p', { class: 'note' }, text)
}

/** The whole record: why it came to its class, and what from. */
export function recordFacts(record: EvidenceRecord): Child {
  return [reasonList(record.reasons), recordInputs(record)]
}

/** Claim, observation, echoes, attestation. */
function recordInputs(record: EvidenceRecord): Child {
  const { observation, echoes, attestation, possible } = record
  return [
    h(
      'dl',
      { class: 'facts' },
      h('dt', {}, 'Claims'),
      h('dd', {}, countryName(record.claim)),
      h('dt', {}, 'Connection seen in'),
      h('dd', {}, observedText(observation)),
      h('dt', {}, 'Possible countries'),
      h('dd', {}, nameList(listCountries(possible), 12)),
      attestation !== null && [
        h('dt', {}, 'Operator signed'),
        h(
          'dd',
          {},
          `${countryName(attestation.statement.country)}, until `,
          time(attestation.statement.expiresAtMs),
        ),
      ],
      h('dt', {}, 'Concluded'),
      h('dd', {}, time(record.concludedAtMs), ` by ${record.hub}`),
      h('dt', {}, 'Holds until'),
      h('dd', {}, time(record.expiresAtMs), ` (${fromNow(record.expiresAtMs, Date.now())})`),
    ),
    record.relaySuspected && relayNote(),
    echoes.length > 0 && echoDetails(record),
  ]
}

function observedText({ country, source, asn, network }: EvidenceRecord['observation']): string {
  const where = country === null ? 'nowhere that is known' : countryName(country)
  return `${where}, by ${SOURCE_MEANS[source]}${network === 'unknown' ? '' : `; ${network} network`}${asn === null ? '' : `, AS${asn}`}`
}

function echoDetails({ echoes }: EvidenceRecord): HTMLElement {
  return h(
    'details',
    {},
    h('summary', {}, `Round trips of ${count(echoes.length, 'anchor')}`),
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
          head: 'Transport’s',
          cell: ({ statement: { transportRttMs } }) =>
            transportRttMs === null ? 'not measured' : `${transportRttMs.toFixed(1)} ms`,
          isNumber: true,
        },
        {
          head: 'So within',
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
