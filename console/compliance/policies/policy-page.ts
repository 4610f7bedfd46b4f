/** One policy: the fields of its newest version, its map, and all versions. */
import { groupNotes } from '#shared/law/region-notes.ts'
import { card, facts, lead, paragraph } from '../page/blocks.ts'
import { countryName, nameList, placesLabel } from '../page/countries.ts'
import { confirmDialog } from '../page/dialog.ts'
import { h, type Child } from '../page/dom.ts'
import { createWorldMap } from '../page/map.ts'
import { button, hash, linkButton, noteList, table, tag, time } from '../page/parts.ts'
import { showField } from './policy-diff.ts'
import { POLICY_FIELDS } from './policy-fields.ts'
import {
  DefaultPolicyReply,
  PoliciesReply,
  PolicyReply,
  PolicyVersionsReply,
} from '#shared/api/policies.ts'
import { fill, type ViewContext } from '../page/view.ts'
import { count } from '../page/words.ts'

export async function readVersions(
  { session, signal }: ViewContext,
  id: string,
): Promise<readonly PolicyReply[]> {
  const path = `/v1/policies/${encodeURIComponent(id)}/versions`
  return (await session.api.get(path, PolicyVersionsReply, signal)).versions
}

export async function policyPage(context: ViewContext, id: string): Promise<Child> {
  const { session, signal } = context
  const [versions, { default: defaultId }] = await Promise.all([
    readVersions(context, id),
    session.api.get('/v1/policies', PoliciesReply, signal),
  ])
  const [newest] = versions
  if (newest === undefined) return paragraph(`There is no policy ${id}.`)
  const map = await createWorldMap()
  const { computeCountries, retiredAtMs } = newest
  const notes = groupNotes(newest.policy)
  const fields = POLICY_FIELDS.map(
    (field) => [field.label, showField(field, newest.policy)] as const,
  )
  map.update({
    label: `Map: jobs may run in ${nameList(computeCountries, 40)}`,
    shaded: new Set(computeCountries),
    marks: [],
  })
  return [
    lead(
      retiredAtMs === null
        ? [
            `Version ${newest.version} is in force. `,
            id === defaultId
              ? 'It is the default for requests that name no policy.'
              : 'It applies to requests that name it.',
          ]
        : ['Retired on ', time(retiredAtMs), '. New jobs are refused. Its receipts stay valid.'],
    ),
    retiredAtMs === null &&
      h('div', { class: 'actions' }, pageActions(context, id, id === defaultId)),
    h(
      'div',
      { class: 'split' },
      card('says', 'Fields', facts(...fields)),
      card(
        'where',
        `Where jobs may run: ${placesLabel(newest.policy.compute)}, ${count(computeCountries.length, 'country', 'countries')}`,
        notes.length > 0 && noteList(notes),
        map.element,
        countryDetails(computeCountries),
      ),
    ),
    card('versions', 'Versions', versionTable(id, versions)),
  ]
}

/** Lists all countries by name, folded away. */
export function countryDetails(codes: readonly string[]): HTMLElement {
  const names = codes.map(countryName).toSorted((a, b) => a.localeCompare(b, 'en'))
  return h(
    'details',
    { class: 'all' },
    h('summary', {}, 'List by name'),
    paragraph(names.join(', ')),
  )
}

function pageActions(context: ViewContext, id: string, isDefault: boolean): Child {
  const { session, say } = context
  const dryRun = linkButton('Dry run', `#/policies/${id}?show=dry-run`)
  if (!session.can('policy')) return dryRun
  const makeDefault = async () => {
    await session.api.send(
      { method: 'POST', path: `/v1/policies/${encodeURIComponent(id)}/default` },
      DefaultPolicyReply,
    )
    say(`${id} is the default now.`)
  }
  const status = h('div', { class: 'inline-status' })
  return [
    linkButton('Edit', `#/policies/${id}?show=edit`, 'main'),
    dryRun,
    !isDefault &&
      button(
        'Make default',
        () =>
          void fill(status, async () => {
            await makeDefault()
            return tag('default now', 'good')
          }),
      ),
    !isDefault && button('Retire', () => retire(context, id), 'danger'),
    status,
  ]
}

function retire({ session, say }: ViewContext, id: string): void {
  confirmDialog({
    title: `Retire ${id}?`,
    body: [
      paragraph(
        'New jobs under this policy are refused everywhere within 10 seconds, jobs of running batches and sessions within 30. The name cannot be used again. This cannot be undone.',
      ),
      paragraph(
        'Its versions stay readable and its receipts stay valid. The record of processing shows it as ended.',
      ),
    ],
    confirm: 'Retire',
    isDanger: true,
    async act() {
      const path = `/v1/policies/${encodeURIComponent(id)}/retire`
      await session.api.send({ method: 'POST', path }, PolicyReply)
      location.hash = '#/policies'
      say(`${id} is retired.`)
    },
  })
}

function versionTable(id: string, versions: readonly PolicyReply[]): HTMLElement {
  return table<PolicyReply>(
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
            ? h('span', { class: 'quiet' }, 'first version')
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
