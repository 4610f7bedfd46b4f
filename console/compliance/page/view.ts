/** What a view is, and how the page shows one: busy, then its content, or what went wrong and a way to try again. */
import type { Scope } from '#shared/api/keys.ts'
import { toAppError, type AppError } from '#shared/base/errors.ts'
import { h, replace, type Child } from './dom.ts'
import type { Session } from './session.ts'

export interface ViewContext {
  readonly session: Session
  /** Parts of the address after the view's own: `#/policies/eu-only/edit` gives `eu-only`, `edit`. */
  readonly params: readonly string[]
  readonly query: URLSearchParams
  /** Aborted when the reader leaves. */
  readonly signal: AbortSignal
  /** Tells screen readers, without moving anybody. */
  readonly say: (text: string) => void
}

export interface View {
  readonly path: string
  /** In the list of views; absent: only reached from others. */
  readonly label: string
  readonly needs: readonly Scope[]
  title(params: readonly string[], query: URLSearchParams): string
  render(context: ViewContext): Promise<Child> | Child
}

/** Fills `host` with the view under its heading, which it gives back. */
export function showView(host: Element, view: View, context: ViewContext): HTMLHeadingElement {
  const heading = h('h1', { tabindex: -1 }, view.title(context.params, context.query))
  const body = h('div', { class: 'body' })
  replace(host, heading, body)
  if (!context.session.can(...view.needs)) {
    replace(body, refusedScope(view, context.session))
    return heading
  }
  void fill(body, () => view.render(context), context.signal)
  return heading
}

/** Busy, then what `work` gives; a fault is said where the content would stand. */
export async function fill(
  host: Element,
  work: () => Promise<Child> | Child,
  signal?: AbortSignal,
): Promise<void> {
  host.setAttribute('aria-busy', 'true')
  replace(host, h('p', { class: 'busy' }, h('span', { class: 'spinner' }), 'One moment…'))
  try {
    const content = await work()
    if (signal?.aborted === true) return
    replace(host, content)
  } catch (error) {
    if (signal?.aborted === true) return
    const again = () => void fill(host, work, signal)
    replace(host, faultPanel(toAppError(error), again))
  }
  host.removeAttribute('aria-busy')
}

/** What failed, in the server's own words. */
export function faultPanel(error: AppError, again?: () => void): HTMLElement {
  const { rule, needed, errors = [] } = error.meta
  return h(
    'section',
    { class: 'fault', role: 'alert', 'data-testid': 'fault' },
    h('p', {}, h('strong', {}, titleOf(error))),
    errors.length === 0 && h('p', {}, error.detail),
    errors.length > 0 &&
      h(
        'ul',
        {},
        errors.map(({ pointer, detail }) => h('li', {}, h('code', {}, pointer), ` ${detail}`)),
      ),
    typeof rule === 'string' && h('p', { class: 'quiet' }, 'Rule: ', h('code', {}, rule)),
    typeof needed === 'string' && h('p', { class: 'quiet' }, `Needed: ${needed}.`),
    again && h('button', { type: 'button', class: 'button', onclick: again }, 'Try again'),
  )
}

function titleOf({ code }: AppError): string {
  switch (code) {
    case 'unauthenticated':
      return 'The key is not, or no longer, good'
    case 'forbidden':
      return 'This key may not do that'
    case 'not_found':
      return 'There is no such thing here'
    case 'rate_limited':
      return 'Too many requests'
    default:
      return 'That did not work'
  }
}

function refusedScope(view: View, session: Session): HTMLElement {
  return h(
    'section',
    { class: 'fault', 'data-testid': 'no-scope' },
    h('p', {}, h('strong', {}, 'This key may not see this')),
    h(
      'p',
      {},
      `${view.label} needs a key with scope `,
      h('code', {}, view.needs.join(' or ')),
      '. This one has ',
      h('code', {}, session.key.scopes.join(', ')),
      '. Whoever has an admin key of this tenant can make another.',
    ),
  )
}
