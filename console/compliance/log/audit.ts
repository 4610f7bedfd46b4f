/** The view of the audit log: search by type, job and time, in pages, and export. */
import type { AuditType, LogEntry } from '#shared/audit/entries.ts'
import { toAppError } from '#shared/base/errors.ts'
import { describeEntry, jobOf, TYPE_LABELS, TYPE_OPTIONS } from './audit-words.ts'
import { lead } from '../page/blocks.ts'
import { field, select } from '../page/controls.ts'
import { h, replace, type Child } from '../page/dom.ts'
import { chosen, exportBar, utc } from './audit-export.ts'
import { button, emptyNote, hash, table, tag, time } from '../page/parts.ts'
import { EntriesReply } from '#shared/api/audit.ts'
import { faultPanel, fill, type View, type ViewContext } from '../page/view.ts'
import { count } from '../page/words.ts'

const PAGE_ENTRIES = 50

export const auditView: View = {
  path: 'audit',
  label: 'Audit log',
  needs: ['audit'],
  title: () => 'Audit log',
  render,
}

interface Filter {
  readonly type: string
  readonly job: string
  readonly from: string
  readonly to: string
}

function render(context: ViewContext): Child {
  const { query } = context
  const filter: Filter = {
    type: query.get('type') ?? '',
    job: query.get('job') ?? '',
    from: query.get('from') ?? '',
    to: query.get('to') ?? '',
  }
  const results = h('div', { 'data-testid': 'entries' })
  void fill(results, () => firstPage(context, filter), context.signal)
  return [
    lead(
      'Every event of this tenant in order. The log only grows: it is a Merkle tree whose checkpoints are signed and recorded on the chain with each batch. It contains no payloads.',
    ),
    filterForm(filter),
    exportBar(context),
    results,
  ]
}

function filterForm(filter: Filter): HTMLElement {
  const type = select('audit-type', TYPE_OPTIONS, { selected: filter.type })
  const job = h('input', {
    id: 'audit-job',
    size: 14,
    value: filter.job,
    autocomplete: 'off',
    spellcheck: 'false',
  })
  const from = h('input', { id: 'audit-from', type: 'datetime-local', value: filter.from })
  const to = h('input', { id: 'audit-to', type: 'datetime-local', value: filter.to })
  const submit = (event: Event) => {
    event.preventDefault()
    const wanted = { type: type.value, job: job.value.trim(), from: from.value, to: to.value }
    const next = `#/audit?${new URLSearchParams(chosen(wanted)).toString()}`
    if (location.hash === next) dispatchEvent(new HashChangeEvent('hashchange'))
    else location.hash = next
  }
  return h(
    'form',
    { class: 'filters', role: 'search', 'aria-label': 'Audit log', onsubmit: submit },
    field('Event', type),
    field('Job', job),
    field('From (UTC)', from),
    field('To (UTC)', to),
    h('button', { type: 'submit', class: 'button main' }, 'Search'),
    Object.values(filter).some((value) => value !== '') &&
      h('a', { href: '#/audit', class: 'clear' }, 'Show all'),
  )
}

/** Keeps the pages that it has read, so that going back needs no request. */
async function firstPage(context: ViewContext, filter: Filter): Promise<Child> {
  const read = (before: number | null) => {
    const { type, job, from, to } = filter
    const query = new URLSearchParams(chosen({ type, job, from: utc(from), to: utc(to) }))
    query.set('limit', String(PAGE_ENTRIES))
    if (before !== null) query.set('before', String(before))
    return context.session.api.get(
      `/v1/audit/events?${query.toString()}`,
      EntriesReply,
      context.signal,
    )
  }
  const pages = [await read(null)]
  let at = 0
  const list = h('div', {})
  const place = h('p', { class: 'place', role: 'status' })
  const show = (): void => {
    const page = pages[at]
    if (page === undefined) return
    replace(list, entriesOf(page, filter))
    replace(place, `Page ${at + 1}, ${count(page.data.length, 'entry', 'entries')}`)
    newer.setAttribute('aria-disabled', String(at === 0))
    older.setAttribute('aria-disabled', String(page.next === null))
  }
  const goOlder = async () => {
    const next = pages[at]?.next ?? null
    if (next === null) return
    if (pages[at + 1] === undefined) pages.push(await read(next))
    at += 1
    show()
  }
  const newer = button('Newer', () => {
    at = Math.max(0, at - 1)
    show()
  })
  const older = button('Older', () => {
    goOlder().catch((error: unknown) => replace(list, faultPanel(toAppError(error), show)))
  })
  show()
  return [list, h('div', { class: 'pager' }, newer, place, older)]
}

function entriesOf({ data: entries, next }: EntriesReply, filter: Filter): Child {
  if (entries.length === 0) {
    if (next !== null)
      return emptyNote('No entry in this part of the log matches.', 'Older entries may match.')
    const isFiltered = Object.values(filter).some((value) => value !== '')
    return isFiltered
      ? emptyNote('No entry matches.', h('a', { href: '#/audit' }, 'Show all entries'))
      : emptyNote('The log is empty.', 'Creating the first key adds the first entry.')
  }
  return table<LogEntry>(
    'Entries, newest first',
    [
      { head: 'Entry', cell: ({ sequence }) => sequence, isNumber: true },
      { head: 'Time', cell: ({ atMs }) => time(atMs) },
      { head: 'Event', cell: ({ type }) => tag(TYPE_LABELS[type], toneOf(type)) },
      { head: 'Detail', cell: (entry) => h('span', { class: 'long' }, describeEntry(entry)) },
      { head: 'Job', cell: jobLink },
    ],
    entries,
  )
}

function jobLink(entry: LogEntry): Child {
  const job = jobOf(entry)
  if (job === undefined) return h('span', { class: 'quiet' }, '–')
  return h('a', { href: `#/jobs/${job}`, title: job }, hash(job))
}

function toneOf(type: AuditType): 'plain' | 'bad' | 'warn' {
  if (type === 'job.refused' || type === 'key.revoked') return 'bad'
  return type === 'job.erased' || type === 'retention.swept' ? 'warn' : 'plain'
}
