/** Blocks that views consist of. */
import { h, type Child } from './dom.ts'

/** Paragraphs, from the plain one to the quietest. */
export const paragraph = (...text: readonly Child[]) => h('p', {}, text)
export const remark = (...text: readonly Child[]) => h('p', { class: 'note' }, text)
export const hint = (...text: readonly Child[]) => h('p', { class: 'hint' }, text)
export const quiet = (...text: readonly Child[]) => h('p', { class: 'quiet' }, text)

/** Introduces a view. */
export function lead(...text: readonly Child[]): HTMLElement {
  return h('p', { class: 'lead' }, text)
}

/** Draws a card under a heading. */
export function card(id: string, title: string, ...content: readonly Child[]): HTMLElement {
  return h('section', { class: 'card', 'aria-labelledby': id }, h('h2', { id }, title), content)
}

/** Draws a list of terms and their values; `false` leaves a row out. */
export function facts(
  ...rows: readonly (readonly [term: string, detail: Child] | false)[]
): HTMLElement {
  const drawn = rows.map((row) => row && [h('dt', {}, row[0]), h('dd', {}, row[1])])
  return h('dl', { class: 'facts' }, drawn)
}

export function list(items: readonly Child[], kind = ''): HTMLElement {
  const drawn = items.map((item) => h('li', {}, item))
  return h('ul', { class: kind }, drawn)
}

/** Folds content away under its summary. */
export function folded(summary: Child, ...content: readonly Child[]): HTMLElement {
  return h('details', {}, h('summary', {}, summary), content)
}

/** Explains the map's signs: the class `key-<key>` draws each. */
export function legend(
  signs: readonly (readonly [key: string, meaning: string])[],
  ...more: readonly Child[]
): HTMLElement {
  const items = signs.map(([key, meaning]) => [h('span', { class: `key key-${key}` }), meaning])
  return list([...items, ...more], 'legend')
}
