/** The live map of nodes and of the tenant's recent jobs over the countries that a policy allows. */
import { parseDetail, type LogEntry } from '#shared/audit/entries.ts'
import { EVIDENCE_CLASSES } from '#shared/law/policy.ts'
import { countryCode } from '#shared/law/region.ts'
import { card, legend, quiet, remark } from '../page/blocks.ts'
import { field, select, switchField } from '../page/controls.ts'
import { byName, countryName, nameList } from '../page/countries.ts'
import { h, replace, type Child } from '../page/dom.ts'
import { createWorldMap, type Mark } from '../page/map.ts'
import { emptyNote, repeat, table, tag, time } from '../page/parts.ts'
import { EntriesReply } from '#shared/api/audit.ts'
import type { NetworkNode } from '#shared/api/network.ts'
import { PoliciesReply } from '#shared/api/policies.ts'
import { readNodes } from '../page/read-nodes.ts'
import type { View, ViewContext } from '../page/view.ts'
import { count, whenUtc } from '../page/words.ts'

const EVERY_MS = 5_000
const RECENT_JOBS = 500

export const placementsView: View = {
  path: 'map',
  label: 'Map',
  needs: ['policy', 'audit', 'infer'],
  title: () => 'Where jobs run',
  render,
}

type Seen = Awaited<ReturnType<typeof look>>

async function render(context: ViewContext): Promise<Child> {
  const map = await createWorldMap()
  let seen = await look(context)
  let chosen = context.query.get('policy') ?? seen.defaultId
  const below = h('div', {})
  const updated = h('p', { class: 'quiet' })
  const draw = () => {
    const policy = seen.policies.find(({ policy: { id } }) => id === chosen)
    const allowed = new Set(policy?.computeCountries)
    const rows = placeRows(seen, allowed)
    map.update({
      label: mapLabel(seen, chosen, allowed),
      shaded: allowed,
      marks: rows.flatMap(marksOf),
    })
    replace(below, placeTable(seen, rows))
    replace(updated, `As of ${whenUtc(Date.now())}`)
  }
  const policyChoice = select(
    'map-policy',
    seen.policies.map(({ policy: { id } }) => [id, id === seen.defaultId ? `${id} (default)` : id]),
    {
      selected: chosen,
      onChange(id) {
        chosen = id
        draw()
      },
    },
  )
  const live = h('input', { type: 'checkbox', id: 'map-live', checked: true })
  repeat(
    async () => {
      if (!live.checked) return
      seen = await look(context)
      draw()
    },
    EVERY_MS,
    context.signal,
  )
  draw()
  return [
    h(
      'div',
      { class: 'filters' },
      field('Policy', policyChoice),
      switchField(live, 'Update every 5 seconds'),
      updated,
    ),
    h('div', { class: 'card' }, map.element, mapLegend()),
    below,
  ]
}

async function look({ session, signal }: ViewContext) {
  const path = `/v1/audit/events?type=job.placed&limit=${RECENT_JOBS}`
  const [nodes, policies, jobs] = await Promise.all([
    readNodes(session.api, signal),
    session.api.get('/v1/policies', PoliciesReply, signal),
    session.can('audit') ? session.api.get(path, EntriesReply, signal) : null,
  ])
  return {
    nodes,
    policies: policies.policies,
    defaultId: policies.default,
    /** Null for a key that cannot read the log. */
    jobs: jobs?.data ?? null,
  }
}

interface PlaceRow {
  readonly country: string
  readonly isAllowed: boolean
  readonly nodes: readonly NetworkNode[]
  readonly jobs: number
  readonly lastJobAtMs: number | undefined
}

function placeRows({ nodes, jobs }: Seen, allowed: ReadonlySet<string>): PlaceRow[] {
  const nodesIn = Map.groupBy(nodes, ({ country }) => country)
  const jobsIn = Map.groupBy((jobs ?? []).flatMap(placedJob), ({ country }) => country)
  return byName([...new Set([...nodesIn.keys(), ...jobsIn.keys()])]).map((country) => {
    const here = jobsIn.get(country) ?? []
    return {
      country,
      isAllowed: allowed.has(country),
      nodes: nodesIn.get(country) ?? [],
      jobs: here.length,
      lastJobAtMs: here.length === 0 ? undefined : Math.max(...here.map(({ atMs }) => atMs)),
    }
  })
}

function placedJob({ opening, atMs }: LogEntry): { country: string; atMs: number }[] {
  if (opening === null) return []
  const { place } = parseDetail('job.placed', opening.detail)
  return [{ country: countryCode(place.country), atMs }]
}

function marksOf({ country, nodes, jobs }: PlaceRow): Mark[] {
  const where = countryName(country)
  const byClass = countByClass(nodes).map(([kind, number]): Mark => {
    const title = `${where}: ${count(number, 'node')}, ${kind}`
    return { country, kind, count: number, title }
  })
  const title = `${where}: ${count(jobs, 'recent job')}`
  return jobs === 0 ? byClass : [...byClass, { country, kind: 'jobs', count: jobs, title }]
}

function placeTable({ jobs, nodes }: Seen, rows: readonly PlaceRow[]): Child {
  if (rows.length === 0) {
    return emptyNote(
      'No node is connected, and no job has run.',
      'Nodes come from ',
      h('a', { href: '/contribute' }, 'volunteers’ tabs'),
      ' and from local nodes.',
    )
  }
  const populated = rows.filter((row) => row.nodes.length > 0).length
  return card(
    'places',
    `${count(nodes.length, 'node')} in ${count(populated, 'country', 'countries')}`,
    jobs === null &&
      remark('This key cannot read the audit log (scope audit), so no jobs are shown.'),
    jobs?.length === RECENT_JOBS && quiet(`Only the newest ${RECENT_JOBS} jobs are counted.`),
    table<PlaceRow>(
      'Nodes and recent jobs by country',
      [
        { head: 'Country', cell: ({ country }) => countryName(country) },
        {
          head: 'Policy',
          cell: ({ isAllowed }) =>
            isAllowed ? tag('allowed', 'good') : tag('not allowed', 'quiet'),
        },
        { head: 'Nodes', cell: (row) => row.nodes.length, isNumber: true },
        { head: 'Evidence', cell: (row) => evidenceText(row.nodes) },
        { head: 'Recent jobs', cell: (row) => (jobs === null ? '–' : row.jobs), isNumber: true },
        {
          head: 'Last job',
          cell: ({ lastJobAtMs }) => (lastJobAtMs === undefined ? '–' : time(lastJobAtMs)),
        },
      ],
      rows,
    ),
  )
}

function evidenceText(nodes: readonly NetworkNode[]): string {
  const parts = countByClass(nodes).map(([evidence, number]) => `${number} ${evidence}`)
  return parts.length === 0 ? '–' : parts.join(', ')
}

function countByClass(nodes: readonly NetworkNode[]) {
  return EVIDENCE_CLASSES.map(
    (name) => [name, nodes.filter(({ evidence }) => evidence === name).length] as const,
  ).filter(([, number]) => number > 0)
}

function mapLabel({ nodes, jobs }: Seen, policy: string, allowed: ReadonlySet<string>): string {
  return `Map: jobs under policy ${policy} may run in ${nameList([...allowed], 40)}; ${count(nodes.length, 'node')}${jobs === null ? '' : `, ${count(jobs.length, 'recent job')}`}. The table below shows the same.`
}

function mapLegend(): HTMLElement {
  return legend(
    [
      ['in', 'jobs may run here'],
      ...EVIDENCE_CLASSES.toReversed().map((name) => [name, `${name} nodes`] as const),
      ['jobs', 'recent jobs'],
    ],
    h(
      'span',
      { class: 'quiet' },
      'Small countries are not drawn, but their nodes and jobs are on the map and in the table.',
    ),
  )
}
