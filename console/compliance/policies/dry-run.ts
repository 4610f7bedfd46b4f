/** What would happen to a job now: every connected node, allowed or the rule that refuses it, in words and on the map. */
import { countryName, nameList, regionCode } from '../page/countries.ts'
import { h, type Child } from '../page/dom.ts'
import { createWorldMap, type Mark } from '../page/map.ts'
import { emptyNote, hash, paged, sign, table, tag } from '../page/parts.ts'
import { readVersions } from './policy-page.ts'
import { DryRunReply } from '#shared/api/policies.ts'
import { regionSuggestions, REGION_LIST_ID } from './region-picker.ts'
import { fill, type ViewContext } from '../page/view.ts'
import { count } from '../page/words.ts'

const PAGE_NODES = 25

type DryRunNode = DryRunReply['nodes'][number]

export async function dryRunPage(context: ViewContext, id: string): Promise<Child> {
  const versions = await readVersions(context, id)
  const wanted = Number(context.query.get('version') ?? versions[0]?.version ?? 1)
  const result = h('div', {})
  const select = h(
    'select',
    { id: 'dry-version' },
    versions.map(({ version }) =>
      h('option', { value: version, selected: version === wanted }, `version ${version}`),
    ),
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
      version: Number(select.value),
      ...(names.length === 0 ? {} : { residency: { allow: names } }),
    }
    void fill(result, () => verdictPanel(context, question), context.signal)
  }
  ask()
  return [
    h('p', {}, h('a', { href: `#/policies/${id}` }, `Back to ${id}`)),
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
      h('div', { class: 'field' }, h('label', { for: 'dry-version' }, 'Policy'), select),
      h(
        'div',
        { class: 'field' },
        h('label', { for: 'dry-narrow' }, 'A request that narrows it to'),
        narrow,
      ),
      h('button', { type: 'submit', class: 'button main' }, 'Ask again'),
      h(
        'p',
        { class: 'hint', id: 'dry-narrow-hint' },
        'Narrow it with countries or groups, commas between; empty: not narrowed.',
      ),
    ),
    result,
  ]
}

/** Asks and draws the answer. @param question body of the dry run */
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
  const { outcome, nodes, computeCountries } = reply
  const allowed = nodes.filter(({ verdict }) => verdict === 'allow').length
  map.update({
    label: `Map: jobs may run in ${nameList(computeCountries, 40)}; ${allowed} of ${nodes.length} connected nodes are allowed`,
    shaded: new Set(computeCountries),
    marks: marksOf(nodes),
  })
  return h(
    'section',
    { class: 'dry-run', 'data-testid': 'dry-run', 'aria-label': 'Dry run' },
    h(
      'div',
      { class: `outcome outcome-${outcome.code === 'allow' ? 'good' : 'bad'}`, role: 'status' },
      sign(outcome.code === 'allow' ? 'passed' : 'failed'),
      h(
        'div',
        {},
        h('p', {}, h('strong', {}, outcome.sentence)),
        outcome.rule !== null && h('p', {}, 'Rule: ', h('code', {}, outcome.rule)),
        outcome.needed !== null && h('p', {}, `Needed: ${outcome.needed}.`),
        reply.ingress.verdict === 'allow' && h('p', { class: 'quiet' }, reply.ingress.sentence),
      ),
    ),
    h('div', { class: 'card' }, map.element, legend()),
    hubNotes(reply),
    nodes.length === 0
      ? emptyNote('No node is connected.', 'There is nothing to decide about until one is.')
      : paged(nodes, PAGE_NODES, nodeTable),
  )
}

function nodeTable(nodes: readonly DryRunNode[]): HTMLElement {
  return table<DryRunNode>(
    'Each connected node and what would be decided about it',
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
      h(
        'p',
        { class: 'note' },
        verdict === 'allow'
          ? `Hub ${hub} does not answer: its nodes are not in the list.`
          : `Hub ${hub} keeps records in ${jurisdiction}, so this policy's jobs never go there (storage.jurisdiction).`,
      ),
    )
}

function legend(): HTMLElement {
  return h(
    'ul',
    { class: 'legend' },
    h('li', {}, h('span', { class: 'key key-in' }), 'jobs may run here'),
    h('li', {}, h('span', { class: 'key key-allowed' }), 'nodes that are allowed'),
    h('li', {}, h('span', { class: 'key key-refused' }), 'nodes that are refused'),
  )
}
