/** JSON with one spelling, so that its bytes can be hashed: keys in order, no spaces. */
import { invariant } from './errors.ts'

/** RFC 8785 (https://www.rfc-editor.org/rfc/rfc8785); undefined members are left out. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (value !== null && typeof value === 'object') {
    const members = value as Readonly<Record<string, unknown>>
    let text = ''
    for (const key of Object.keys(members).sort()) {
      const inner = members[key]
      if (inner === undefined) continue
      text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${canonicalJson(inner)}`
    }
    return `{${text}}`
  }
  invariant(isPlain(value), `${String(value)} has no canonical JSON`)
  return JSON.stringify(value)
}

function isPlain(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value)
  return value === null || typeof value === 'boolean' || typeof value === 'string'
}
