/** Shows what would happen to a job now: the verdict on every connected node, as a table and on the map. */
import { legend, paragraph, quiet, remark } from '../page/blocks.ts'
import { field, select } from '../page/controls.ts'
import { countryName, nameList, regionCode } from '../page/countries.ts'
import { h, type Child } from '../page/dom.ts'
import { createWorldMap, type Mark } from '../page/map.ts'
import { emptyNote, hash, outcome, paged, table, tag } from '../page/parts.ts'
import { readVersions } from './policy-page.ts'
import { DryRunReply } from '#shared/api/policies.ts'
import { regionSuggestions, REGION_LIST_ID } from './region-picker.ts'
import { fill, type ViewContext } from '../page/view.ts'
import { count } from '../page/words.ts'

const PAGE_NODES = 25
const ALLOWED = { tone: 'good', sign: 'passed' } as const
const REFUSED = { tone: 'bad', sign: 'failed' } as const

type DryRunNode = DryRunReply['nodes'][number]

export async function dryRunPage(context: ViewContext, id: string): Promise<Child> {
  const versions = await readVersions(context, id)
  const wanted = Number(context.query.get('version') ?? versions[0]?.version ?? 1)
  const result = h('div', {})
  const version = select(
    'dry-version',
    versions.map((each) => [each.version, `version ${each.version}`]),
    { selected: wanted },
  )
  const narrow = h('input', {
    id: 'dry-narrow',
    list: REGION_LIST_ID,
    autocomplete: 'off',
    'aria-describedby': 'dry-narrow-hint',
  })
  const ask = () => {
    const names = narrow.value.split(/[;,]/).map(regionCode).filter(Boolean)
    const question = {
      policy: id,
      version: Number(version.value),
      ...(names.length === 0 ? {} : { residency: { allow: names } }),
    }
    void fill(result, () => verdictPanel(context, question), context.signal)
  }
  ask()
  return [
    paragraph(h('a', { href: `#/policies/${id}` }, `Back to ${id}`)),
    h(
      'form',
      {
        class: 'filters',
        onsubmit: (event) => {
          event.preventDefault()
          ask()
        },
      },
      regionSuggestions(),
      field('Policy', version),
      field('Narrowed by the request to', narrow),
      h('button', { type: 'submit', class: 'button main' }, 'Run again'),
      h(
        'p',
        { class: 'hint', id: 'dry-narrow-hint' },
        'Countries or groups, separated by commas. Leave empty for no narrowing.',
      ),
    ),
    result,
  ]
}

/** @param question body of the request */
export async function verdictPanel(
  { session, signal }: ViewContext,
  question: Readonly<Record<string, unknown>>,
): Promise<Child> {
  const path = '/v1/policies/dry-run'
  const [reply, map] = await Promise.all([
    session.api.send({ method: 'POST', path, body: question }, DryRunReply),
    createWorldMap(),
  ])
  if (signal.aborted) return null
  const { nodes, computeCountries } = reply
  const { code, rule, sentence, needed } = reply.outcome
  const allowed = nodes.filter(({ verdict }) => verdict === 'allow').length
  map.update({
    label: `Map: jobs may run in ${nameList(computeCountries, 40)}; ${allowed} of ${nodes.length} connected nodes are allowed`,
    shaded: new Set(computeCountries),
    marks: marksOf(nodes),
  })
  return h(
    'section',
    { class: 'dry-run', 'data-testid': 'dry-run', 'aria-label': 'Dry run' },
    outcome(
      { ...(code === 'allow' ? ALLOWED : REFUSED), title: sentence },
      rule !== null && paragraph('Rule: ', h('code', {}, rule)),
      needed !== null && paragraph(`Needed: ${needed}.`),
      reply.ingress.verdict === 'allow' && quiet(reply.ingress.sentence),
    ),
    h(
      'div',
      { class: 'card' },
      map.element,
      legend([
        ['in', 'jobs may run here'],
        ['allowed', 'allowed nodes'],
        ['refused', 'refused nodes'],
      ]),
    ),
    hubNotes(reply),
    nodes.length === 0
      ? emptyNote(
          'No node is connected.',
          'When a node connects, the dry run shows whether the policy allows it.',
        )
      : paged(nodes, PAGE_NODES, nodeTable),
  )
}

function nodeTable(nodes: readonly DryRunNode[]): HTMLElement {
  return table<DryRunNode>(
    'Every connected node with its verdict',
    [
      {
        head: 'Verdict',
        cell: ({ verdict }) => (verdict === 'allow' ? tag('allowed', 'good') : tag(verdict, 'bad')),
      },
      { head: 'Why', cell: ({ sentence }) => sentence },
      { head: 'Country', cell: ({ country }) => countryName(country) },
      { head: 'Evidence', cell: ({ evidence }) => evidence },
      { head: 'Trust', cell: ({ trust }) => trust },
      { head: 'Node', cell: ({ nodeId }) => hash(nodeId) },
    ],
    nodes,
  )
}

function marksOf(nodes: readonly DryRunNode[]): Mark[] {
  const groups = Map.groupBy(
    nodes,
    ({ country, verdict }) => `${country} ${verdict === 'allow' ? 'allowed' : 'refused'}`,
  )
  return [...groups].map(([key, those]) => {
    const [country = '', kind = ''] = key.split(' ')
    const title = `${countryName(country)}: ${count(those.length, 'node')} ${kind}`
    return { country, kind, count: those.length, title }
  })
}

function hubNotes({ hubs }: DryRunReply): Child {
  return hubs
    .filter(({ verdict, isLive }) => verdict !== 'allow' || !isLive)
    .map(({ hub, jurisdiction, verdict }) =>
      remark(
        verdict === 'allow'
          ? `Hub ${hub} does not answer, so its nodes are missing from the list.`
          : `Hub ${hub} keeps records in ${jurisdiction}, so jobs under this policy never go there (storage.jurisdiction).`,
      ),
    )
}
