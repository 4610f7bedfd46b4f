/** Exports the log by time, policy and type, as lines or as a bundle for an auditor. */
import { hint } from '../page/blocks.ts'
import { toAppError } from '#shared/base/errors.ts'
import { TYPE_OPTIONS } from './audit-words.ts'
import { field, select } from '../page/controls.ts'
import { h, replace } from '../page/dom.ts'
import { button, saveFile } from '../page/parts.ts'
import { faultPanel, type ViewContext } from '../page/view.ts'

const FORMATS = {
  jsonl: { path: 'export', label: 'Export as JSONL', ending: 'jsonl' },
  csv: { path: 'export', label: 'Export as CSV', ending: 'csv' },
  bundle: { path: 'bundle', label: 'Bundle for an auditor', ending: 'bundle.json' },
} as const

export function exportBar({ session, say }: ViewContext): HTMLElement {
  const problem = h('div', {})
  const from = h('input', { id: 'export-from', type: 'datetime-local' })
  const to = h('input', { id: 'export-to', type: 'datetime-local' })
  const policy = h('input', { id: 'export-policy', autocomplete: 'off', spellcheck: 'false' })
  const type = select('export-type', TYPE_OPTIONS)
  const save = (format: keyof typeof FORMATS) => {
    replace(problem)
    say('Preparing the export.')
    const { path, ending } = FORMATS[format]
    const wanted = {
      format: path === 'export' ? format : '',
      from: utc(from.value),
      to: utc(to.value),
      policy: policy.value.trim(),
      type: type.value,
    }
    const query = new URLSearchParams(chosen(wanted)).toString()
    session.api
      .fetchFile(`/v1/audit/${path}?${query}`)
      .then((file) => {
        saveFile(`audit-${session.key.tenant}.${ending}`, file)
        say('The export was downloaded.')
      })
      .catch((error: unknown) => replace(problem, faultPanel(toAppError(error))))
  }
  return h(
    'details',
    { class: 'export' },
    h('summary', {}, 'Export'),
    h(
      'div',
      { class: 'filters' },
      field('Export from (UTC)', from),
      field('Export to (UTC)', to),
      field('Export only policy', policy),
      field('Export only type', type),
      (Object.keys(FORMATS) as (keyof typeof FORMATS)[]).map((format) =>
        button(FORMATS[format].label, () => save(format)),
      ),
      hint(
        'Leave all fields empty to export the whole log. A bundle contains every entry of the period. Entries that you leave out appear without their details, so that a gap cannot go unnoticed. The export itself becomes an entry.',
      ),
    ),
    problem,
  )
}

/** Leaves out empty values. */
export function chosen(values: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(values).filter(([, value]) => value !== '')
}

/** Reads the value of a `datetime-local` field as UTC. */
export function utc(text: string): string {
  return text === '' ? '' : new Date(`${text}Z`).toISOString()
}
