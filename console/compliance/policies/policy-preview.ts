/** Shows what a draft means: its countries on the map, its assumed fields, and what it changes. */
import { PolicyDraft, type Policy } from '#shared/law/policy.ts'
import { assumptions, completePolicy } from '#shared/law/policy-draft.ts'
import { groupNotes } from '#shared/law/region-notes.ts'
import { hint, list, paragraph } from '../page/blocks.ts'
import { nameList, placesLabel } from '../page/countries.ts'
import { h, replace, type Child } from '../page/dom.ts'
import { createWorldMap } from '../page/map.ts'
import { noteList } from '../page/parts.ts'
import { count } from '../page/words.ts'
import { diffTable } from './policy-compare.ts'
import { computeCountries, diffPolicies } from './policy-diff.ts'
import { withValue } from './policy-fields.ts'

export type PolicyPreview = Awaited<ReturnType<typeof policyPreview>>

/** @param newest the published version that drafts are compared with */
export async function policyPreview(
  newest: { readonly policy: Policy; readonly version: number } | undefined,
) {
  const map = await createWorldMap()
  const text = h('div', { class: 'preview' })
  return {
    element: h(
      'aside',
      { class: 'card sticky', 'aria-label': 'What the draft means' },
      map.element,
      text,
    ),
    show(draft: unknown) {
      const parsed = PolicyDraft.safeParse(withValue(draft, '/id', newest?.policy.id ?? 'draft'))
      if (!parsed.success) {
        replace(text, hint('The draft is incomplete or has errors.'))
        return
      }
      const policy = completePolicy(parsed.data)
      const countries = computeCountries(policy)
      map.update({
        label: `Map: jobs may run in ${nameList(countries, 40)}`,
        shaded: new Set(countries),
        marks: [],
      })
      replace(
        text,
        paragraph(
          h('strong', {}, `Jobs may run in ${placesLabel(policy.compute)}`),
          `, ${count(countries.length, 'country', 'countries')}`,
        ),
        hint(nameList(countries, 12)),
        noteList(groupNotes(policy)),
        assumedList(draft, policy),
        newest !== undefined && [
          h('h2', {}, `Changes since version ${newest.version}`),
          diffTable(diffPolicies(newest.policy, policy), `Version ${newest.version}`, 'Draft'),
        ],
      )
    },
  }
}

/** Lists the fields that the draft leaves out and the values assumed for them. */
function assumedList(draft: unknown, policy: Policy): Child {
  const assumed = assumptions(draft as Readonly<Record<string, unknown>>, policy)
  if (assumed.length === 0) return null
  return h(
    'section',
    { 'data-testid': 'assumed', 'aria-label': 'Fields left out' },
    h('h2', {}, 'Assumed for fields left out'),
    list(
      assumed.map(({ pointer, means }) => [
        h('code', {}, pointer),
        // Only the server knows where the tenant's records are; its reply says so.
        ` ${pointer === '/storage' ? 'records stay where this tenant’s are kept' : means}`,
      ]),
      'notes',
    ),
  )
}
