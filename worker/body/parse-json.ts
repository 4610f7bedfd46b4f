/** Parses a body's JSON. Duplicate members are refused, because parsers disagree on which one counts. */
import { AppError } from '#shared/base/errors.ts'
import { endOfString, readString } from '#shared/base/strict-json.ts'
import { invalidAt, toPointer } from './faults.ts'

const DECODER = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false })

/** @throws {AppError} invalid_request for invalid JSON or UTF-8, or with a pointer to a duplicate member */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    return parseText(DECODER.decode(bytes))
  } catch (cause) {
    if (cause instanceof AppError) throw cause
    const detail = cause instanceof Error ? cause.message : String(cause)
    throw new AppError('invalid_request', `The body is not JSON in UTF-8: ${detail}.`, { cause })
  }
}

/** @throws {SyntaxError} @throws {AppError} invalid_request for a duplicate member */
export function parseText(text: string): unknown {
  const value: unknown = JSON.parse(text)
  const twice = memberTwice(text)
  if (twice === undefined) return value
  const detail = 'appears twice, and readers may pick either'
  throw invalidAt(toPointer(pathTo(text, twice)), detail)
}

/**
 * Finds where the second of two equally named members begins. Skipping from mark to mark costs no
 * more than parsing.
 * @param text valid JSON
 */
function memberTwice(text: string): number | undefined {
  const outer: (Set<string> | undefined)[] = []
  let names: Set<string> | undefined
  const marks = /["{}]/g
  while (marks.test(text)) {
    const at = marks.lastIndex - 1
    const mark = text[at]
    if (mark === '{') {
      outer.push(names)
      names = undefined
    } else if (mark === '}') {
      names = outer.pop()
    } else {
      const end = endOfString(text, at)
      marks.lastIndex = end
      if (!isName(text, end)) continue
      const name = readString(text, at, end)
      names ??= new Set()
      if (names.has(name)) return at
      names.add(name)
    }
  }
  return undefined
}

const COLON = /[ \t\r\n]*:/y

/** Tells whether the string that ends at this position is a member's name. */
function isName(text: string, end: number): boolean {
  COLON.lastIndex = end
  return COLON.test(text)
}

/** The path of the member whose name begins at `target`; computed only for faults. */
function pathTo(text: string, target: number): (string | number)[] {
  const path: (string | number)[] = []
  const marks = /["{}[\],]/g
  while (marks.test(text)) {
    const at = marks.lastIndex - 1
    const last = path.at(-1)
    switch (text[at]) {
      case '{':
        path.push('')
        break
      case '[':
        path.push(0)
        break
      case '}':
      case ']':
        path.pop()
        break
      case ',':
        if (typeof last === 'number') path[path.length - 1] = last + 1
        break
      default: {
        const end = endOfString(text, at)
        marks.lastIndex = end
        if (isName(text, end)) path[path.length - 1] = readString(text, at, end)
        if (at === target) return path
      }
    }
  }
  return path
}
