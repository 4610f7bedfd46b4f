/**
 * JSON with exactly one reading and one spelling. Strangers read a signed document with other parsers. A document
 * is therefore refused where two parsers could differ: a repeated name, a number that must be rounded, half a character.
 */
import { AppError } from './errors.ts'
import { memoize } from './memoize.ts'

/** Deeper than any document of ours, and shallow enough for any reader's stack. */
const MOST_LEVELS = 64
/** @param at path of the value in its document @throws {AppError} invalid_request, with the path */
export function parseStrict(text: string, at = ''): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw faultAt(at, `not JSON, ${cause instanceof Error ? cause.message : String(cause)}`)
  }
  scan(text, at)
  return value
}

interface Level {
  /** Undefined in a list. */
  readonly names: Set<string> | undefined
  at: string | number
}

/** @param text valid JSON: this looks only for what JSON itself permits */
function scan(text: string, base: string): void {
  const levels: Level[] = []
  const path = (): string =>
    [base, ...levels.map(({ at }) => at)].filter((at) => at !== '').join('.')
  let isName = false
  for (let at = 0; at < text.length; at += 1) {
    const level = levels.at(-1)
    switch (text[at]) {
      case '{':
      case '[':
        isName = text[at] === '{'
        levels.push(isName ? { names: new Set(), at: '' } : { names: undefined, at: 0 })
        if (levels.length > MOST_LEVELS)
          throw faultAt(path(), `more than ${MOST_LEVELS} levels deep`)
        break
      case '}':
      case ']':
        levels.pop()
        isName = false
        break
      case ',':
        if (typeof level?.at === 'number') level.at += 1
        else isName = true
        break
      case '"': {
        const end = endOfString(text, at)
        const word = readString(text, at, end)
        if (isName && level?.names !== undefined) {
          level.at = word
          takeName(word, level.names, path())
          isName = false
        }
        if (!word.isWellFormed()) throw faultAt(path(), 'text with half a character')
        at = end - 1
        break
      }
      default: {
        const end = endOfNumber(text, at)
        if (end === at) break
        const digits = text.slice(at, end)
        if (String(Number(digits)) !== digits)
          throw faultAt(
            path(),
            `the number ${digits.slice(0, 40)}, which readers may read differently`,
          )
        at = end - 1
      }
    }
  }
}

/** Records a name of an object. @throws {AppError} invalid_request for a name that two readers could read differently */
export function takeName(name: string, names: Set<string>, path: string): void {
  if (names.has(name)) throw faultAt(path, 'appears twice, and readers may pick either')
  // Copying this name into a JavaScript object would set its prototype, which no check looks at.
  if (name === '__proto__') throw faultAt(path, 'a name that some readers ignore')
  names.add(name)
}

/** @param end index just after the closing quote */
export function readString(text: string, at: number, end: number): string {
  const inner = text.slice(at + 1, end - 1)
  return inner.includes('\\') ? String(JSON.parse(text.slice(at, end))) : inner
}

/** Index just after the closing quote; -1 where the text ends first. */
export function endOfString(text: string, at: number): number {
  for (let quote = text.indexOf('"', at + 1); quote >= 0; quote = text.indexOf('"', quote + 1)) {
    let slashes = 0
    while (text[quote - 1 - slashes] === '\\') slashes += 1
    if (slashes % 2 === 0) return quote + 1
  }
  return -1
}

const NUMBER = /[-+.0-9eE]*/y

/** Returns `at` where no number begins. */
function endOfNumber(text: string, at: number): number {
  const code = text.charCodeAt(at)
  if (code !== 0x2d && (code < 0x30 || code > 0x39)) return at
  NUMBER.lastIndex = at
  NUMBER.test(text)
  return NUMBER.lastIndex
}

/** Index just after the value that begins there; -1 where the text ends first. */
export function endOfValue(text: string, at: number): number {
  let depth = 0
  for (let i = at; i < text.length; i += 1) {
    const code = text.charCodeAt(i)
    if (code === 0x22) {
      const end = endOfString(text, i)
      if (end < 0) return -1
      if (depth === 0) return end
      i = end - 1
    } else if (code === 0x7b || code === 0x5b) depth += 1
    else if (code === 0x7d || code === 0x5d) {
      if (depth === 0) return i
      depth -= 1
      if (depth === 0) return i + 1
    } else if (depth === 0 && (code === 0x2c || code === 0x3a || code <= 0x20)) return i
  }
  return -1
}

export function faultAt(path: string, what: string): AppError {
  return new AppError('invalid_request', `${path === '' ? 'The document' : path}: ${what}.`)
}

/** JSON as RFC 8785 spells it (https://www.rfc-editor.org/rfc/rfc8785), so that it can be hashed; omits undefined members. */
export function canonicalJson(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (value === null || typeof value === 'boolean') return String(value)
  if (typeof value === 'number' && Number.isFinite(value)) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value !== 'object')
    throw new Error(`invariant: a ${typeof value} has no canonical JSON`)
  const members = value as Readonly<Record<string, unknown>>
  let text = ''
  for (const key of Object.keys(members).sort()) {
    const inner = members[key]
    if (inner === undefined) continue
    text += `${text === '' ? '' : ','}${key.length <= NAME_KEPT ? spelled(key) : JSON.stringify(key)}:${canonicalJson(inner)}`
  }
  return `{${text}}`
}

/** Longest name whose spelling is remembered: names recur in every document. */
const NAME_KEPT = 32
const spelled = memoize((name) => JSON.stringify(name), 1_024)
