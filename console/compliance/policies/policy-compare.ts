/** Shows the differences between two versions of a policy. */
import { paragraph } from '../page/blocks.ts'
import { byName, countryName } from '../page/countries.ts'
import { field, select } from '../page/controls.ts'
import { h, type Child } from '../page/dom.ts'
import { table } from '../page/parts.ts'
import { diffPolicies, isSame, type FieldChange, type PolicyDiff } from './policy-diff.ts'
import { readVersions } from './policy-page.ts'
import type { ViewContext } from '../page/view.ts'
import { count } from '../page/words.ts'

export async function comparePage(context: ViewContext, id: string): Promise<Child> {
  const versions = await readVersions(context, id)
  const newest = versions[0]?.version ?? 1
  const to = Number(context.query.get('to') ?? newest)
  const from = Number(context.query.get('from') ?? Math.max(1, to - 1))
  const find = (version: number) => versions.find((each) => each.version === version)?.policy
  const [before, after] = [find(from), find(to)]
  const choice = (name: 'from' | 'to', selected: number) =>
    select(
      `compare-${name}`,
      versions.map(({ version }) => [version, String(version)]),
      {
        selected,
        onChange(value) {
          const next = { show: 'compare', from: String(from), to: String(to), [name]: value }
          location.hash = `#/policies/${id}?${new URLSearchParams(next).toString()}`
        },
      },
    )
  return [
    paragraph(h('a', { href: `#/policies/${id}` }, `Back to ${id}`)),
    h(
      'div',
      { class: 'filters' },
      field('From version', choice('from', from)),
      field('To version', choice('to', to)),
    ),
    before === undefined || after === undefined
      ? paragraph('This version does not exist.')
      : diffTable(diffPolicies(before, after), `Version ${from}`, `Version ${to}`),
  ]
}

export function diffTable(diff: PolicyDiff, from: string, to: string): HTMLElement {
  if (isSame(diff)) return h('p', { class: 'note', 'data-testid': 'diff' }, 'Nothing differs.')
  const { compute, ingress, fields } = diff
  return h(
    'div',
    { class: 'diff', 'data-testid': 'diff' },
    setLine('Jobs may newly run in', compute.added, 'plus'),
    setLine('Jobs may no longer run in', compute.removed, 'minus'),
    setLine('Requests may newly enter in', ingress.added, 'plus'),
    setLine('Requests may no longer enter in', ingress.removed, 'minus'),
    fields.length > 0 &&
      table<FieldChange>(
        'Fields that differ',
        [
          { head: 'Field', cell: ({ label, pointer }) => [label, h('code', {}, pointer)] },
          { head: from, cell: (change) => h('del', {}, change.from) },
          { head: to, cell: (change) => h('ins', {}, change.to) },
        ],
        fields,
      ),
  )
}

function setLine(label: string, codes: readonly string[], kind: 'plus' | 'minus'): Child {
  if (codes.length === 0) return null
  const names = byName(codes).map(countryName).join(', ')
  return h(
    'p',
    { class: `set-${kind}` },
    h('strong', {}, `${label} ${count(codes.length, 'country', 'countries')}: `),
    names,
  )
}
