/** Pieces that several views use. */
import { list, paragraph } from './blocks.ts'
import { h, replace, svg, type Child } from './dom.ts'
import { shortHash, whenUtc } from './words.ts'

export type Tone = 'good' | 'warn' | 'bad' | 'quiet' | 'plain'

export type Sign = 'passed' | 'failed' | 'open' | 'warned'

/** Draws a coloured word. The colour adds no information. */
export function tag(text: string, tone: Tone = 'plain'): HTMLElement {
  return h('span', { class: `tag tag-${tone}` }, text)
}

export function time(atMs: number): HTMLElement {
  const [day = '', clock = ''] = whenUtc(atMs).split(', ')
  // A line may break between day and time only.
  return h(
    'time',
    { datetime: new Date(atMs).toISOString() },
    h('span', {}, `${day},`),
    ' ',
    h('span', {}, clock),
  )
}

/** Shows a hash in short; its title holds the whole. */
export function hash(value: string): HTMLElement {
  return h('code', { class: 'hash', title: value }, shortHash(value))
}

/** Fills the place of a list without rows. */
export function emptyNote(title: string, ...more: readonly Child[]): HTMLElement {
  return h('div', { class: 'empty' }, paragraph(h('strong', {}, title)), paragraph(more))
}

export interface Column<T> {
  readonly head: string
  readonly cell: (row: T) => Child
  readonly isNumber?: boolean
}

/** Draws a table. A phone shows its rows as cards, so each cell carries the name of its column. */
export function table<T>(
  caption: string,
  columns: readonly Column<T>[],
  rows: readonly T[],
): HTMLElement {
  return h(
    'div',
    { class: 'table' },
    h(
      'table',
      {},
      h('caption', { class: 'visually-hidden' }, caption),
      h(
        'thead',
        {},
        h(
          'tr',
          {},
          columns.map(({ head, isNumber }) =>
            h('th', { scope: 'col', class: isNumber === true && 'number' }, head),
          ),
        ),
      ),
      h(
        'tbody',
        {},
        rows.map((row) =>
          h(
            'tr',
            {},
            columns.map(({ head, cell, isNumber }) =>
              h(
                'td',
                { 'data-head': head, class: isNumber === true && 'number' },
                // One box, so that a card can put the cell beside its column's name.
                h('div', {}, cell(row)),
              ),
            ),
          ),
        ),
      ),
    ),
  )
}

/** @param notes sentences without full stops */
export function noteList(notes: readonly string[]): HTMLElement {
  return list(
    notes.map((note) => `${note}.`),
    'notes',
  )
}

/** Shows rows in pages of a fixed size. */
export function paged<T>(
  rows: readonly T[],
  pageRows: number,
  draw: (page: readonly T[]) => Child,
): HTMLElement {
  if (rows.length <= pageRows) return h('div', {}, draw(rows))
  const pages = Math.ceil(rows.length / pageRows)
  let page = 0
  const list = h('div', {})
  const place = h('p', { class: 'place', role: 'status' })
  const show = (next: number) => {
    page = Math.min(Math.max(0, next), pages - 1)
    replace(list, draw(rows.slice(page * pageRows, (page + 1) * pageRows)))
    replace(place, `Page ${page + 1} of ${pages}`)
    back.setAttribute('aria-disabled', String(page === 0))
    forth.setAttribute('aria-disabled', String(page === pages - 1))
  }
  const back = button('Previous page', () => show(page - 1))
  const forth = button('Next page', () => show(page + 1))
  show(0)
  return h('div', {}, list, h('div', { class: 'pager' }, back, place, forth))
}

export function button(text: string, onclick: () => void, kind = ''): HTMLButtonElement {
  return h('button', { type: 'button', class: `button ${kind}`, onclick }, text)
}

export function linkButton(text: string, href: string, kind = ''): HTMLAnchorElement {
  return h('a', { class: `button ${kind}`, href }, text)
}

/** Draws a button that looks like a link. */
export function textButton(text: string, onclick: () => void): HTMLButtonElement {
  return h('button', { type: 'button', class: 'to-line', onclick }, text)
}

/** Offers bytes as a download. */
export function saveFile(name: string, content: Blob): void {
  const url = URL.createObjectURL(content)
  h('a', { href: url, download: name }).click()
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}

export function saveJson(name: string, document: unknown): void {
  saveFile(name, new Blob([JSON.stringify(document, null, 2)], { type: 'application/json' }))
}

/** Draws a tick, cross, dash or exclamation mark. The words beside it say the same. */
export function sign(kind: Sign): SVGElement {
  const strokes = {
    passed: 'M5 10.5l3.5 3.5L15 6.5',
    failed: 'M6 6l8 8M14 6l-8 8',
    open: 'M6 10h8',
    warned: 'M10 5v6M10 14v1',
  } as const
  return svg(
    'svg',
    { class: `sign sign-${kind}`, viewBox: '0 0 20 20', 'aria-hidden': 'true' },
    svg('circle', { cx: 10, cy: 10, r: 9 }),
    svg('path', { d: strokes[kind] }),
  )
}

interface Outcome {
  readonly tone: Tone
  readonly sign: Sign
  readonly title: string
}

/** Shows a verdict. @param details stand below its title */
export function outcome(
  { tone, sign: kind, title }: Outcome,
  ...details: readonly Child[]
): HTMLElement {
  const text = h('div', {}, paragraph(h('strong', {}, title)), details)
  return h('div', { class: `outcome outcome-${tone}`, role: 'status' }, sign(kind), text)
}

/** Runs `work` at an interval until `signal` aborts. It pauses while the page is hidden. */
export function repeat(work: () => Promise<void>, everyMs: number, signal: AbortSignal): void {
  let isBusy = false
  const turn = async () => {
    if (isBusy || document.hidden) return
    isBusy = true
    // A failed read is repeated at the next turn; the page shows the time of the last one.
    await work().catch(() => undefined)
    isBusy = false
  }
  const timer = setInterval(() => void turn(), everyMs)
  signal.addEventListener('abort', () => clearInterval(timer))
}
