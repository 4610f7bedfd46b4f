/** The compliance console: signs in with a tenant's key and shows the view that the address names. */
import '#shared/base/strict-csp.ts'
import { invariant } from '#shared/base/errors.ts'
import { createApi } from './page/api.ts'
import { list, paragraph } from './page/blocks.ts'
import { h, replace } from './page/dom.ts'
import { OwnKeyReply } from '#shared/api/keys.ts'
import { abilities, createSession, type Session } from './page/session.ts'
import { signInForm } from './page/sign-in.ts'
import { showView, type View } from './page/view.ts'
import { auditView } from './log/audit.ts'
import { groupsView } from './policies/groups.ts'
import { jobsView } from './jobs/jobs.ts'
import { keysView } from './keys.ts'
import { nodesView } from './nodes/nodes.ts'
import { placementsView } from './jobs/placements.ts'
import { policiesView } from './policies/policies.ts'

const VIEWS: readonly View[] = [
  policiesView,
  placementsView,
  auditView,
  jobsView,
  nodesView,
  groupsView,
  keysView,
]
const HOME = `#/${policiesView.path}`

const host = element('view')
const nav = element('views')
const account = element('account')
const said = element('said')

let session: Session | undefined
let leaving = new AbortController()

addEventListener('hashchange', () => {
  if (location.hash.startsWith('#/')) show()
})
showSignIn()

function showSignIn(because?: string): void {
  session = undefined
  leaving.abort()
  document.title = 'Sign in · Compliance · Littoral'
  nav.hidden = true
  replace(account)
  replace(host, signInForm(signIn, because))
}

async function signIn(key: string): Promise<void> {
  const api = createApi(key, () => {
    if (session?.api === api) {
      showSignIn(
        'The server no longer accepts this key. It was revoked or rotated. Sign in with another key.',
      )
    }
  })
  session = createSession(api, await api.get('/v1/keys/self', OwnKeyReply))
  showAccount(session)
  if (!location.hash.startsWith('#/')) history.replaceState(null, '', HOME)
  show()
}

function show(): void {
  if (session === undefined) return
  leaving.abort()
  leaving = new AbortController()
  const [path = '', search = ''] = location.hash.slice(2).split('?')
  const [name, ...params] = path.split('/').map(decode)
  const view = VIEWS.find((each) => each.path === name) ?? policiesView
  showNav(view, session)
  account.querySelector('details')?.removeAttribute('open')
  const query = new URLSearchParams(search)
  document.title = `${view.title(params, query)} · Compliance · Littoral`
  host.setAttribute('data-address', location.hash)
  showView(host, view, { session, params, query, signal: leaving.signal, say }).focus()
}

function showNav(current: View, { can }: Session): void {
  nav.hidden = false
  const links = VIEWS.filter(({ needs }) => can(...needs)).map(({ path, label }) =>
    h('a', { href: `#/${path}`, 'aria-current': path === current.path && 'page' }, label),
  )
  replace(nav, list(links))
  nav.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' })
}

function showAccount(signedIn: Session): void {
  const { may, mayNot } = abilities(signedIn)
  const { tenant, id, scopes } = signedIn.key
  replace(
    account,
    h(
      'details',
      { class: 'who', 'data-testid': 'who' },
      h('summary', {}, h('strong', {}, tenant), ` · ${scopes.join(', ')}`),
      h(
        'div',
        { class: 'card' },
        paragraph('Key ', h('code', {}, id)),
        paragraph(`It may ${may.join('; ') || 'do nothing here'}.`),
        mayNot.length > 0 && paragraph(`It may not ${mayNot.join('; ')}.`),
      ),
    ),
    h('button', { type: 'button', class: 'button quiet', onclick: () => showSignIn() }, 'Sign out'),
  )
}

function say(text: string): void {
  said.textContent = text
}

function element(testId: string): HTMLElement {
  const found = document.querySelector<HTMLElement>(`[data-testid="${testId}"]`)
  invariant(found !== null, `the page has an element ${testId}`)
  return found
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
