/** A policy as a form: each field has a label, a hint and the server's reason for refusing it. */
import type { FieldFault } from '#shared/base/errors.ts'
import { select } from '../page/controls.ts'
import { h, replace } from '../page/dom.ts'
import { fieldOf, POLICY_FIELDS, textOf, valueAt, type PolicyField } from './policy-fields.ts'
import { regionPicker, regionSuggestions } from './region-picker.ts'

export type PolicyForm = ReturnType<typeof policyForm>

interface FormField {
  readonly field: PolicyField
  readonly element: HTMLElement
  readonly problem: HTMLElement
  readonly focus: () => void
  readonly mark: (isWrong: boolean) => void
}

/** @param set called with a field's value after each change */
export function policyForm(draft: unknown, set: (pointer: string, value: unknown) => void) {
  const fields = POLICY_FIELDS.map((field) =>
    formField(field, valueAt(draft, field.pointer), (value) => set(field.pointer, value)),
  )
  const byPointer = (pointer: string) =>
    fields.find(({ field }) => field.pointer === fieldOf(pointer)?.pointer)
  return {
    element: h(
      'div',
      { class: 'form' },
      regionSuggestions(),
      fields.map(({ element }) => element),
    ),
    focusField: (pointer: string) => byPointer(pointer)?.focus(),
    /** Shows each fault at its field. */
    showFaults(faults: readonly FieldFault[]) {
      for (const { problem, mark } of fields) {
        replace(problem)
        mark(false)
      }
      for (const { pointer, detail } of faults) {
        const target = byPointer(pointer)
        target?.problem.append(h('span', {}, detail))
        target?.mark(true)
      }
    },
  }
}

function formField(field: PolicyField, value: unknown, set: (value: unknown) => void): FormField {
  const id = `field${field.pointer.replaceAll('/', '-')}`
  const [hintId, problemId] = [`${id}-hint`, `${id}-problem`]
  const problem = h('p', { class: 'problem', id: problemId })
  const hint = h('p', { class: 'hint', id: hintId }, field.hint)
  const describedBy = `${hintId} ${problemId}`
  if (field.kind === 'regions') {
    const picker = regionPicker({
      id,
      label: field.label,
      describedBy,
      value: Array.isArray(value) ? value.map(String) : [],
      onChange: set,
    })
    const element = h(
      'fieldset',
      { class: 'field wide', 'data-pointer': field.pointer },
      h('legend', {}, field.label),
      picker.element,
      hint,
      problem,
    )
    const mark = (isWrong: boolean) => void element.classList.toggle('wrong', isWrong)
    return { field, element, problem, focus: picker.focus, mark }
  }
  const control = drawControl(field, { id, describedBy, value, set })
  const label = h('label', { for: id }, field.label)
  const isSwitch = field.kind === 'switch'
  const element = h(
    'div',
    { class: isSwitch ? 'field switch' : 'field', 'data-pointer': field.pointer },
    isSwitch ? [control, label] : [label, control],
    hint,
    problem,
  )
  return {
    field,
    element,
    problem,
    focus: () => control.focus(),
    mark(isWrong) {
      element.classList.toggle('wrong', isWrong)
      if (isWrong) control.setAttribute('aria-invalid', 'true')
      else control.removeAttribute('aria-invalid')
    },
  }
}

interface ControlOptions {
  readonly id: string
  readonly describedBy: string
  readonly value: unknown
  readonly set: (value: unknown) => void
}

function drawControl(
  { kind, choices = [], toJson = (text) => text }: PolicyField,
  { id, describedBy, value, set }: ControlOptions,
): HTMLInputElement | HTMLSelectElement {
  const common = { id, 'aria-describedby': describedBy }
  if (kind === 'choice') {
    const selected = textOf(value)
    const options = choices.map((choice) => [choice.value, choice.label] as const)
    // A draft written as JSON may hold any value; the form shows it unchanged.
    if (!choices.some((choice) => choice.value === selected)) options.unshift([selected, selected])
    const control = select(id, options, { selected, onChange: (text) => set(toJson(text)) })
    control.setAttribute('aria-describedby', describedBy)
    return control
  }
  if (kind === 'switch') {
    const box: HTMLInputElement = h('input', {
      ...common,
      type: 'checkbox',
      checked: value === true,
      onchange: () => set(box.checked),
    })
    return box
  }
  const isDays = kind === 'days'
  const input: HTMLInputElement = h('input', {
    ...common,
    type: isDays ? 'number' : 'text',
    autocomplete: 'off',
    value: Array.isArray(value) ? value.map(textOf).join(', ') : textOf(value),
    oninput: () => set(isDays ? daysOf(input.value) : toJson(input.value.trim())),
  })
  return input
}

/** Leaves text that is not a number unchanged, so that the server refuses it at this field. */
function daysOf(text: string): unknown {
  const days = Number(text)
  return text.trim() === '' || Number.isNaN(days) ? text : days
}
