/** Edits a list of countries and groups: chips, and a field that adds one. */
import { allRegions, regionCode, regionLabel } from '../page/countries.ts'
import { h, replace } from '../page/dom.ts'

interface RegionPickerOptions {
  readonly id: string
  readonly label: string
  readonly describedBy: string
  readonly value: readonly string[]
  readonly onChange: (value: readonly string[]) => void
}

export const REGION_LIST_ID = 'regions-known'

/** Draws the suggestions of all pickers; a page needs them once. */
export function regionSuggestions(): HTMLElement {
  return h(
    'datalist',
    { id: REGION_LIST_ID },
    allRegions().map((name) => h('option', { value: regionLabel(name) })),
  )
}

export function regionPicker(options: RegionPickerOptions) {
  const { id, label, describedBy, onChange } = options
  let value = options.value
  const chips = h('ul', { class: 'chips' })
  const input = h('input', {
    id,
    list: REGION_LIST_ID,
    autocomplete: 'off',
    placeholder: 'Country or group',
    'aria-describedby': describedBy,
    'aria-label': `Add to: ${label}`,
    onkeydown: (event) => {
      if (!(event instanceof KeyboardEvent) || event.key !== 'Enter') return
      event.preventDefault()
      add()
    },
  })
  const add = () => {
    if (input.value.trim() === '') return
    const code = regionCode(input.value)
    input.value = ''
    if (!value.includes(code)) set([...value, code])
    input.focus()
  }
  const remove = (name: string, at: number) => {
    set(value.filter((each) => each !== name))
    const next = chips.querySelectorAll('button')[Math.min(at, value.length - 1)]
    ;(next ?? input).focus()
  }
  const set = (next: readonly string[]) => {
    value = next
    draw()
    onChange(value)
  }
  const draw = () =>
    replace(
      chips,
      value.map((name, at) =>
        h(
          'li',
          {},
          regionLabel(name),
          h(
            'button',
            {
              type: 'button',
              'aria-label': `Remove ${regionLabel(name)}`,
              onclick: () => remove(name, at),
            },
            '×',
          ),
        ),
      ),
    )
  draw()
  const addButton = h('button', { type: 'button', class: 'button', onclick: add }, 'Add')
  return {
    element: h('div', { class: 'picker' }, chips, h('div', { class: 'adder' }, input, addButton)),
    focus: () => input.focus(),
  }
}
