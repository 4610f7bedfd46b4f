/** Lists the countries of each group, with the date, source and pitfalls of the list. */
import { groupFacts, type GroupFacts } from '#shared/law/region-notes.ts'
import { regionLabel } from '../page/countries.ts'
import { lead } from '../page/blocks.ts'
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
    lead(
      'The countries that each group in a policy stands for. A list never changes: a change of law makes a new list, and a published policy keeps the list that it names.',
    ),
    table<GroupFacts>(
      'Groups of countries',
      [
        { head: 'Group', cell: ({ name }) => h('span', { class: 'strong' }, regionLabel(name)) },
        {
          head: 'Countries',
          cell: ({ countries }) => [
            count(countries.length, 'country', 'countries'),
            countryDetails(countries),
          ],
        },
        { head: 'As of', cell: ({ asOf }) => h('time', {}, h('span', {}, asOf)) },
        {
          head: 'Source',
          cell: ({ source }) =>
            h('a', { href: source, rel: 'noreferrer' }, new URL(source).hostname),
        },
        { head: 'Notes', cell: ({ notes }) => noteList(notes) },
      ],
      groupFacts(),
    ),
  ],
}
