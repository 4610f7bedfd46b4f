/** Exports the log by time, policy and type, as lines or as a bundle for an auditor. */
import { AUDIT_TYPES } from '#shared/audit/entries.ts'
import { toAppError } from '#shared/base/errors.ts'
import { TYPE_LABELS } from './audit-words.ts'
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
  const type = h(
    'select',
    { id: 'export-type' },
    h('option', { value: '' }, 'Everything'),
    AUDIT_TYPES.map((each) => h('option', { value: each }, TYPE_LABELS[each])),
  )
  const save = (format: keyof typeof FORMATS) => {
    replace(problem)
    say('Preparing the export.')
    const { path, ending } = FORMATS[format]
    const query = chosenQuery({
      format: path === 'export' ? format : '',
      from: utc(from.value),
      to: utc(to.value),
      policy: policy.value.trim(),
      type: type.value,
    })
    session.api
      .fetchFile(`/v1/audit/${path}?${query}`)
      .then((file) => {
        saveFile(`audit-${session.key.tenant}.${ending}`, file)
        say('The export was downloaded.')
      })
      .catch((error: unknown) => replace(problem, faultPanel(toAppError(error))))
  }
  const field = (id: string, label: string, control: HTMLElement) =>
    h('div', { class: 'field' }, h('label', { for: id }, label), control)
  return h(
    'details',
    { class: 'export' },
    h('summary', {}, 'Export'),
    h(
      'div',
      { class: 'filters' },
      field('export-from', 'Export from (UTC)', from),
      field('export-to', 'Export to (UTC)', to),
      field('export-policy', 'Export only policy', policy),
      field('export-type', 'Export only type', type),
      (Object.keys(FORMATS) as (keyof typeof FORMATS)[]).map((format) =>
        button(FORMATS[format].label, () => save(format)),
      ),
      h(
        'p',
        { class: 'hint' },
        'Leave all fields empty to export the whole log. A bundle contains every entry of the period. Entries that you leave out appear without their details, so that a gap cannot go unnoticed. The export itself becomes an entry.',
      ),
    ),
    problem,
  )
}

/** Leaves out empty values. */
function chosenQuery(chosen: Readonly<Record<string, string>>): string {
  return new URLSearchParams(Object.entries(chosen).filter(([, value]) => value !== '')).toString()
}

function utc(text: string): string {
  return text === '' ? '' : new Date(`${text}Z`).toISOString()
}
