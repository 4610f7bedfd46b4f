/** The form that takes a key. It is a password field without a name, so that no browser offers to keep it. */
import { toAppError } from '#shared/base/errors.ts'
import { h, replace } from './dom.ts'

/** @param because why somebody who was signed in is back here */
export function signInForm(
  signIn: (key: string) => Promise<void>,
  because: string | undefined,
): HTMLElement {
  const problem = h('p', { class: 'problem', id: 'key-problem', role: 'alert', hidden: true })
  const input = h('input', {
    id: 'key',
    type: 'password',
    autocomplete: 'off',
    spellcheck: 'false',
    autocapitalize: 'off',
    required: true,
    'aria-describedby': 'key-hint key-problem',
    'data-testid': 'key',
  })
  const button = h('button', { type: 'submit', class: 'button main' }, 'Sign in')
  const refuse = (text: string) => {
    problem.hidden = false
    replace(problem, text)
    input.setAttribute('aria-invalid', 'true')
    button.disabled = false
    input.focus()
  }
  const submit = (event: Event) => {
    event.preventDefault()
    const key = input.value.trim()
    if (!/^[!-~]{8,256}$/.test(key)) {
      refuse('That is no key. Keys look like lit_<tenant>_<48 hex digits>.')
      return
    }
    button.disabled = true
    signIn(key).then(
      () => (input.value = ''),
      (error: unknown) => refuse(toAppError(error).detail),
    )
  }
  return h(
    'section',
    { class: 'sign-in' },
    h('h1', { tabindex: -1 }, 'Where jobs may run, where they ran, and the proof'),
    because !== undefined && h('p', { class: 'fault', role: 'alert' }, because),
    h(
      'form',
      { class: 'card', novalidate: true, onsubmit: submit },
      h('label', { for: 'key' }, 'Tenant key'),
      input,
      h(
        'p',
        { class: 'hint', id: 'key-hint' },
        'Kept in this tab’s memory only. What you see depends on its scopes: policy, audit, admin.',
      ),
      problem,
      button,
    ),
  )
}
