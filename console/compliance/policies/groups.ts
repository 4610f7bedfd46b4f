/** What each group of countries holds, by which list and source, and what its name does not say. */
import { groupFacts, type GroupFacts } from '#shared/law/region-notes.ts'
import { regionLabel } from '../page/countries.ts'
import { h } from '../page/dom.ts'
import { noteList, table } from '../page/parts.ts'
import { countryDetails } from './policy-page.ts'
import type { View } from '../page/view.ts'
import { count } from '../page/words.ts'

export const groupsView: View = {
  path: 'groups',
  label: 'Groups',
  needs: ['policy', 'audit', 'infer'],
  title: () => 'Groups of countries',
  render: () => [
    h(
      'p',
      { class: 'lead' },
      'What a policy means by a group. A list is never edited: a change of law is a new list, and a published policy keeps the one that it names.',
    ),
    table<GroupFacts>(
      'Groups of countries',
      [
        { head: 'Group', cell: ({ name }) => h('span', { class: 'strong' }, regionLabel(name)) },
        {
          head: 'Holds',
          cell: ({ countries }) => [
            count(countries.length, 'country', 'countries'),
            countryDetails(countries),
          ],
        },
        { head: 'As of', cell: ({ asOf }) => asOf },
        {
          head: 'Source',
          cell: ({ source }) =>
            h('a', { href: source, rel: 'noreferrer' }, new URL(source).hostname),
        },
        { head: 'To know', cell: ({ notes }) => noteList(notes) },
      ],
      groupFacts(),
    ),
  ],
}
