/** The sign-in form. Its password field has no name, so that browsers do not offer to save the key. */
import { toAppError } from '#shared/base/errors.ts'
import { h, replace } from './dom.ts'

/** @param because why the user was signed out */
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
      refuse('This is not a key. Keys look like lit_<tenant>_<48 hex digits>.')
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
        'The key stays in this tab’s memory. Its scopes decide what you see: policy, audit, admin.',
      ),
      problem,
      button,
    ),
  )
}
