/** HTML templates: every value is escaped unless it is HTML already. */

export interface Html {
  readonly html: string
}

type Part = Html | string | number | boolean | undefined | readonly Part[]

export function html(texts: TemplateStringsArray, ...parts: readonly Part[]): Html {
  const written = texts.map((text, at) => text + (at < parts.length ? write(parts[at]) : ''))
  return { html: written.join('') }
}

function write(part: Part): string {
  if (part === undefined || part === false) return ''
  if (typeof part === 'object' && 'html' in part) return part.html
  if (typeof part === 'object') return part.map(write).join('')
  return String(part)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
