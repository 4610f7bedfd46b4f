/** Pieces that several views are made of. */
import { h, replace, svg, type Child } from './dom.ts'
import { shortHash, whenUtc } from './words.ts'

export type Tone = 'good' | 'warn' | 'bad' | 'quiet' | 'plain'

/** A word with a colour; the word alone says all. */
export function tag(text: string, tone: Tone = 'plain'): HTMLElement {
  return h('span', { class: `tag tag-${tone}` }, text)
}

export function time(atMs: number): HTMLElement {
  const [day = '', clock = ''] = whenUtc(atMs).split(', ')
  // It breaks between day and time, and nowhere else.
  return h(
    'time',
    { datetime: new Date(atMs).toISOString() },
    h('span', {}, `${day},`),
    ' ',
    h('span', {}, clock),
  )
}

/** Short on the screen, whole in the title and for whoever copies it. */
export function hash(value: string): HTMLElement {
  return h('code', { class: 'hash', title: value }, shortHash(value))
}

/** What there would be, and how it comes about. */
export function emptyNote(title: string, ...more: readonly Child[]): HTMLElement {
  return h('div', { class: 'empty' }, h('p', {}, h('strong', {}, title)), h('p', {}, more))
}

export interface Column<T> {
  readonly head: string
  readonly cell: (row: T) => Child
  readonly isNumber?: boolean
}

/** A table that a phone shows as cards: each cell repeats its column's name. */
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
                // One box: a card puts it beside its column's name.
                h('div', {}, cell(row)),
              ),
            ),
          ),
        ),
      ),
    ),
  )
}

/** Sentences without their stops. */
export function noteList(notes: readonly string[]): HTMLElement {
  return h(
    'ul',
    { class: 'notes' },
    notes.map((note) => h('li', {}, `${note}.`)),
  )
}

/** Rows in pages of a fixed size, with buttons that keep their places. */
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
  const back = button('Earlier page', () => show(page - 1))
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

/** Hands bytes to the browser as a download. */
export function saveFile(name: string, content: Blob): void {
  const url = URL.createObjectURL(content)
  h('a', { href: url, download: name }).click()
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}

/** A tick, a cross or a ring: the drawing says nothing that its words do not. */
export function sign(kind: 'passed' | 'failed' | 'open' | 'warned'): SVGElement {
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

/** Runs `work` every so often until the signal; while nobody looks at the page it rests. */
export function repeat(work: () => Promise<void>, everyMs: number, signal: AbortSignal): void {
  let isBusy = false
  const turn = async () => {
    if (isBusy || document.hidden) return
    isBusy = true
    // What cannot be read now is read at the next turn; the page says as of when it is.
    await work().catch(() => undefined)
    isBusy = false
  }
  const timer = setInterval(() => void turn(), everyMs)
  signal.addEventListener('abort', () => clearInterval(timer))
}
