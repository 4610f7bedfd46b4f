/** Views, and how the page shows one: a spinner, then its content, or the fault and a way to try again. */
import type { Scope } from '#shared/api/keys.ts'
import { toAppError, type AppError } from '#shared/base/errors.ts'
import { list, paragraph, quiet } from './blocks.ts'
import { h, replace, type Child } from './dom.ts'
import type { Session } from './session.ts'

export interface ViewContext {
  readonly session: Session
  /** Parts of the address after the view's name: `#/policies/eu-only` gives `eu-only`. */
  readonly params: readonly string[]
  readonly query: URLSearchParams
  /** Aborts when the user leaves the view. */
  readonly signal: AbortSignal
  /** Announces a text to screen readers without moving the focus. */
  readonly say: (text: string) => void
}

export interface View {
  readonly path: string
  readonly label: string
  readonly needs: readonly Scope[]
  title(params: readonly string[], query: URLSearchParams): string
  render(context: ViewContext): Promise<Child> | Child
}

/** Fills `host` with the view and returns its heading. */
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

/** Shows a spinner in `host`, then the result of `work` or the fault. */
export async function fill(
  host: Element,
  work: () => Promise<Child> | Child,
  signal?: AbortSignal,
): Promise<void> {
  host.setAttribute('aria-busy', 'true')
  replace(host, h('p', { class: 'busy' }, h('span', { class: 'spinner' }), 'Loading…'))
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

/** Shows a fault in the server's own words. */
export function faultPanel(error: AppError, again?: () => void): HTMLElement {
  const { rule, needed, errors = [] } = error.meta
  return h(
    'section',
    { class: 'fault', role: 'alert', 'data-testid': 'fault' },
    paragraph(h('strong', {}, titleOf(error))),
    errors.length === 0 && paragraph(error.detail),
    errors.length > 0 &&
      list(errors.map(({ pointer, detail }) => [h('code', {}, pointer), ` ${detail}`])),
    typeof rule === 'string' && quiet('Rule: ', h('code', {}, rule)),
    typeof needed === 'string' && quiet(`Needed: ${needed}.`),
    again && h('button', { type: 'button', class: 'button', onclick: again }, 'Try again'),
  )
}

function titleOf({ code }: AppError): string {
  switch (code) {
    case 'unauthenticated':
      return 'This key is not valid'
    case 'forbidden':
      return 'This key may not do that'
    case 'not_found':
      return 'Not found'
    case 'rate_limited':
      return 'Too many requests'
    default:
      return 'The request failed'
  }
}

function refusedScope(view: View, session: Session): HTMLElement {
  return h(
    'section',
    { class: 'fault', 'data-testid': 'no-scope' },
    paragraph(h('strong', {}, 'This key has no access to this view')),
    paragraph(
      `${view.label} needs a key with scope `,
      h('code', {}, view.needs.join(' or ')),
      '. Your key has ',
      h('code', {}, session.key.scopes.join(', ')),
      '. Anyone with an admin key of this tenant can create another key.',
    ),
  )
}
