/** Form controls with their labels. */
import { h, type Child } from './dom.ts'

type Option = readonly [value: string | number, label: string]

interface SelectOptions {
  readonly selected?: string | number
  readonly onChange?: (value: string) => void
}

/** @param more stands below the control: hints, faults */
export function field(label: string, control: HTMLElement, ...more: readonly Child[]): HTMLElement {
  return h('div', { class: 'field' }, h('label', { for: control.id }, label), control, more)
}

/** A checkbox before its label. */
export function switchField(box: HTMLInputElement, ...label: readonly Child[]): HTMLElement {
  return h('div', { class: 'field switch' }, box, h('label', { for: box.id }, label))
}

export function select(
  id: string,
  options: readonly Option[],
  { selected, onChange }: SelectOptions = {},
): HTMLSelectElement {
  const element = h(
    'select',
    { id, onchange: () => onChange?.(element.value) },
    options.map(([value, label]) => h('option', { value, selected: value === selected }, label)),
  )
  return element
}

export interface Choice {
  readonly element: HTMLElement
  readonly show: (value: string) => void
}

/** Radio buttons that look like one switch. Arrow keys move between them. */
export function choice(
  legend: string,
  options: readonly Option[],
  onChange: (value: string) => void,
): Choice {
  // A group for each choice: two maps on a page are independent.
  const name = `choice-${crypto.randomUUID()}`
  const radios = options.map(([value]) =>
    h('input', { type: 'radio', name, value, onchange: () => onChange(String(value)) }),
  )
  const labels = options.map(([, label], at) => h('label', {}, radios[at], h('span', {}, label)))
  return {
    element: h(
      'fieldset',
      { class: 'choice' },
      h('legend', { class: 'visually-hidden' }, legend),
      labels,
    ),
    show(value) {
      for (const radio of radios) radio.checked = radio.value === value
    },
  }
}
