/** A policy as JSON, with its faults below by line and pointer. */
import type { FieldFault } from '#shared/base/errors.ts'
import { h, replace } from '../page/dom.ts'
import { textButton } from '../page/parts.ts'
import { lineOfPointer, lineOfSyntaxFault } from './json-lines.ts'

export type PolicyJson = ReturnType<typeof policyJson>

export function policyJson(draft: unknown, onChange: (draft: unknown) => void) {
  const problems = h('ul', { class: 'problems', id: 'json-problems' })
  const area = h('textarea', {
    id: 'policy-json',
    class: 'code',
    rows: 24,
    spellcheck: 'false',
    autocomplete: 'off',
    'aria-describedby': 'json-hint json-problems',
    'data-testid': 'policy-json',
    value: JSON.stringify(draft, null, 2),
    oninput: () => {
      const parsed = read()
      if (parsed !== undefined) onChange(parsed.draft)
    },
  })
  const list = (lines: readonly { readonly line: number; readonly text: string }[]) => {
    if (lines.length > 0) area.setAttribute('aria-invalid', 'true')
    else area.removeAttribute('aria-invalid')
    replace(
      problems,
      lines.map(({ line, text }) =>
        h(
          'li',
          {},
          textButton(`Line ${line}`, () => selectLine(area, line)),
          ` ${text}`,
        ),
      ),
    )
  }
  const read = () => {
    const fault = lineOfSyntaxFault(area.value)
    list(fault === undefined ? [] : [{ line: fault.line, text: `is not JSON: ${fault.detail}` }])
    return fault === undefined ? { draft: JSON.parse(area.value) as unknown } : undefined
  }
  return {
    /** Shows the fault and returns undefined for invalid JSON. */
    read,
    element: h(
      'div',
      { class: 'field wide' },
      h('label', { for: 'policy-json' }, 'Policy as JSON'),
      area,
      h(
        'p',
        { class: 'hint', id: 'json-hint' },
        'Fields that you leave out get their defaults. Unknown fields are refused.',
      ),
      problems,
    ),
    showFaults: (faults: readonly FieldFault[]) =>
      list(
        faults.map(({ pointer, detail }) => ({
          line: lineOfPointer(area.value, pointer),
          text: `${pointer === '' ? 'The policy' : pointer} ${detail}`,
        })),
      ),
  }
}

function selectLine(area: HTMLTextAreaElement, line: number): void {
  const lines = area.value.split('\n')
  const start = lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0)
  area.focus()
  area.setSelectionRange(start, start + (lines[line - 1]?.length ?? 0))
}
