/** One policy: what its newest version says, where that is on the map, and the versions before it. */
import { countryName, nameList } from './countries.ts'
import { h, type Child } from './dom.ts'
import { createWorldMap } from './map.ts'
import { button, hash, linkButton, table, tag, time } from './parts.ts'
import { showField } from './policy-diff.ts'
import { POLICY_FIELDS } from './policy-fields.ts'
import { DefaultPolicy, Policies, Versions, type PolicyVersion } from './replies.ts'
import { fill, type ViewContext } from './view.ts'
import { count } from './words.ts'

export async function readVersions(
  { session, signal }: ViewContext,
  id: string,
): Promise<readonly PolicyVersion[]> {
  const path = `/v1/policies/${encodeURIComponent(id)}/versions`
  return (await session.api.get(path, Versions, signal)).versions
}

export async function policyPage(context: ViewContext, id: string): Promise<Child> {
  const { session, signal } = context
  const [versions, { default: defaultId }] = await Promise.all([
    readVersions(context, id),
    session.api.get('/v1/policies', Policies, signal),
  ])
  const [newest] = versions
  if (newest === undefined) return h('p', {}, `There is no policy ${id}.`)
  const map = await createWorldMap()
  const { computeCountries } = newest
  map.update({
    label: `Map: jobs may run in ${nameList(computeCountries, 40)}`,
    shaded: new Set(computeCountries),
    marks: [],
  })
  return [
    h(
      'p',
      { class: 'lead' },
      `Version ${newest.version} counts now. `,
      id === defaultId
        ? 'It is the default: requests that name no policy follow it.'
        : 'Requests follow it when they name it.',
    ),
    h('div', { class: 'actions' }, pageActions(context, id, id === defaultId)),
    h(
      'div',
      { class: 'split' },
      h(
        'section',
        { class: 'card', 'aria-labelledby': 'says' },
        h('h2', { id: 'says' }, 'What it says'),
        fieldList(newest),
      ),
      h(
        'section',
        { class: 'card', 'aria-labelledby': 'where' },
        h(
          'h2',
          { id: 'where' },
          `Where jobs may run: ${count(computeCountries.length, 'country', 'countries')}`,
        ),
        map.element,
        countryDetails(computeCountries),
      ),
    ),
    h(
      'section',
      { class: 'card', 'aria-labelledby': 'versions' },
      h('h2', { id: 'versions' }, 'Versions'),
      versionTable(id, versions),
    ),
  ]
}

/** All of them by name, folded away. */
export function countryDetails(codes: readonly string[]): HTMLElement {
  const names = codes.map(countryName).toSorted((a, b) => a.localeCompare(b, 'en'))
  return h(
    'details',
    { class: 'all' },
    h('summary', {}, 'All of them by name'),
    h('p', {}, names.join(', ')),
  )
}

function pageActions(context: ViewContext, id: string, isDefault: boolean): Child {
  const { session, say } = context
  const dryRun = linkButton('Dry run', `#/policies/${id}?show=dry-run`)
  if (!session.can('policy')) return dryRun
  const makeDefault = async () => {
    await session.api.send(
      { method: 'POST', path: `/v1/policies/${encodeURIComponent(id)}/default` },
      DefaultPolicy,
    )
    say(`${id} is the default now.`)
  }
  const status = h('div', { class: 'inline-status' })
  return [
    linkButton('Edit', `#/policies/${id}?show=edit`, 'main'),
    dryRun,
    !isDefault &&
      button(
        'Make it the default',
        () =>
          void fill(status, async () => {
            await makeDefault()
            return tag('default now', 'good')
          }),
      ),
    status,
  ]
}

export function fieldList({ policy }: PolicyVersion): HTMLElement {
  return h(
    'dl',
    { class: 'facts' },
    POLICY_FIELDS.map((field) => [h('dt', {}, field.label), h('dd', {}, showField(field, policy))]),
  )
}

function versionTable(id: string, versions: readonly PolicyVersion[]): HTMLElement {
  return table<PolicyVersion>(
    'Published versions, newest first',
    [
      { head: 'Version', cell: ({ version }) => version },
      {
        head: 'Published',
        cell: ({ publishedAtMs }) => (publishedAtMs ? time(publishedAtMs) : 'not known'),
      },
      { head: 'Hash in receipts', cell: ({ hash: value }) => hash(value) },
      {
        head: 'Compare',
        cell: ({ version }) =>
          version === 1
            ? h('span', { class: 'quiet' }, 'the first')
            : h(
                'a',
                { href: `#/policies/${id}?show=compare&from=${version - 1}&to=${version}` },
                `with version ${version - 1}`,
              ),
      },
      {
        head: 'Dry run',
        cell: ({ version }) =>
          h(
            'a',
            { href: `#/policies/${id}?show=dry-run&version=${version}` },
            `version ${version}`,
          ),
      },
    ],
    versions,
  )
}
