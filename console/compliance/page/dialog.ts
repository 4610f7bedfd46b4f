/** Asks for confirmation with the browser's modal dialog, which traps the keyboard focus. */
import { toAppError } from '#shared/base/errors.ts'
import { h, replace, type Child } from './dom.ts'
import { button } from './parts.ts'
import { faultPanel } from './view.ts'

interface Question {
  readonly title: string
  readonly body: Child
  readonly confirm: string
  readonly isDanger?: boolean
  /** If it fails, the dialog stays open and shows the reason. */
  readonly act: () => Promise<void>
}

export function confirmDialog({ title, body, confirm, isDanger = false, act }: Question): void {
  const problem = h('div', {})
  const before = document.activeElement
  const close = () => dialog.close()
  const go = button(
    confirm,
    () => {
      go.disabled = true
      act().then(close, (error: unknown) => {
        go.disabled = false
        replace(problem, faultPanel(toAppError(error)))
      })
    },
    isDanger ? 'danger main' : 'main',
  )
  const dialog: HTMLDialogElement = h(
    'dialog',
    {
      'aria-labelledby': 'dialog-title',
      onclose: () => {
        dialog.remove()
        if (before instanceof HTMLElement && document.activeElement === document.body)
          before.focus()
      },
    },
    h('h2', { id: 'dialog-title' }, title),
    body,
    problem,
    h('div', { class: 'actions' }, go, button('Cancel', close)),
  )
  document.body.append(dialog)
  dialog.showModal()
}
