/** Blocks that views consist of. */
import { h, type Child } from './dom.ts'

/** Introduces a view. */
export function lead(...text: readonly Child[]): HTMLElement {
  return h('p', { class: 'lead' }, text)
}

/** A card under a heading. */
export function card(id: string, title: string, ...content: readonly Child[]): HTMLElement {
  return h('section', { class: 'card', 'aria-labelledby': id }, h('h2', { id }, title), content)
}

/** A list of terms and what they are; `false` leaves a row out. */
export function facts(
  ...rows: readonly (readonly [term: string, detail: Child] | false)[]
): HTMLElement {
  const drawn = rows.map((row) => row && [h('dt', {}, row[0]), h('dd', {}, row[1])])
  return h('dl', { class: 'facts' }, drawn)
}

/** Explains signs of the map: the class `key-<key>` draws each. */
export function legend(
  signs: readonly (readonly [key: string, meaning: string])[],
  ...more: readonly Child[]
): HTMLElement {
  const items = signs.map(([key, meaning]) =>
    h('li', {}, h('span', { class: `key key-${key}` }), meaning),
  )
  return h('ul', { class: 'legend' }, items, more)
}
