/** The view of policies: a list, or one policy with its versions, editor, comparison and dry run. */
import { leastTrust } from '#shared/law/explain.ts'
import { placesLabel } from '../page/countries.ts'
import { lead, remark } from '../page/blocks.ts'
import { h, type Child } from '../page/dom.ts'
import { dryRunPage } from './dry-run.ts'
import { linkButton, table, tag, time } from '../page/parts.ts'
import { comparePage } from './policy-compare.ts'
import { editPage } from './policy-edit.ts'
import { policyPage } from './policy-page.ts'
import { PoliciesReply, type PolicyReply } from '#shared/api/policies.ts'
import type { View, ViewContext } from '../page/view.ts'
import { count } from '../page/words.ts'

export const policiesView: View = {
  path: 'policies',
  label: 'Policies',
  needs: ['policy', 'audit', 'infer'],
  title([id = ''], query) {
    const show = query.get('show')
    if (id === '') return show === 'new' ? 'New policy' : 'Policies'
    if (show === 'edit') return `Edit policy ${id}`
    if (show === 'compare') return `Versions of policy ${id}`
    return show === 'dry-run' ? `Dry run of policy ${id}` : `Policy ${id}`
  },
  render(context) {
    const { params, query } = context
    const [id = ''] = params
    const show = query.get('show')
    if (id === '') return show === 'new' ? editPage(context) : listPage(context)
    if (show === 'edit') return editPage(context, id)
    if (show === 'compare') return comparePage(context, id)
    if (show === 'dry-run') return dryRunPage(context, id)
    return policyPage(context, id)
  },
}

async function listPage({ session, signal }: ViewContext): Promise<Child> {
  const reply = await session.api.get('/v1/policies', PoliciesReply, signal)
  const { default: defaultId, policies, retired } = reply
  const mayPublish = session.can('policy')
  return [
    lead(
      'A policy says where requests may enter, where jobs may run, and what a node must prove. A published version never changes. A request that names no policy uses the default.',
    ),
    mayPublish
      ? h('p', { class: 'actions' }, linkButton('New policy', '#/policies?show=new', 'main'))
      : remark(
          'This key can read policies. To publish them, it needs the scope ',
          h('code', {}, 'policy'),
          '.',
        ),
    table<PolicyReply>(
      'Policies, newest version of each',
      [
        {
          head: 'Policy',
          cell: ({ policy }) => [
            h('a', { href: `#/policies/${policy.id}`, class: 'strong' }, policy.id),
            policy.id === defaultId && [' ', tag('default', 'good')],
          ],
        },
        { head: 'Version', cell: ({ version }) => version },
        { head: 'Jobs run in', cell: whereText },
        { head: 'Data class', cell: ({ policy }) => policy.dataClass },
        { head: 'Evidence', cell: ({ policy }) => policy.minEvidence },
        { head: 'Node trust', cell: ({ policy }) => leastTrust(policy) },
      ],
      policies,
    ),
    retiredList(retired),
  ]
}

/** Gives `European Union (EU) except Ireland (IE), 26 countries`. */
function whereText({ policy, computeCountries }: PolicyReply): Child {
  return [
    placesLabel(policy.compute),
    h('span', { class: 'quiet' }, `, ${count(computeCountries.length, 'country', 'countries')}`),
  ]
}

function retiredList(retired: readonly PolicyReply[]): Child {
  if (retired.length === 0) return null
  return h(
    'details',
    { class: 'all' },
    h('summary', {}, `Retired: ${count(retired.length, 'policy', 'policies')}`),
    table<PolicyReply>(
      'Retired policies',
      [
        {
          head: 'Policy',
          cell: ({ policy }) => h('a', { href: `#/policies/${policy.id}` }, policy.id),
        },
        { head: 'Version', cell: ({ version }) => version },
        { head: 'Jobs run in', cell: whereText },
        {
          head: 'Retired',
          cell: ({ retiredAtMs }) => (retiredAtMs === null ? '' : time(retiredAtMs)),
        },
      ],
      retired,
    ),
  )
}
