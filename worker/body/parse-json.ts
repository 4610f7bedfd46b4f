/** The JSON of a body, in one reading: a member that is there twice is refused, since another reader takes the other. */
import { AppError } from '#shared/base/errors.ts'
import { endOfString, readString } from '#shared/base/strict-json.ts'
import { invalidRequest, toPointer } from './faults.ts'

/** @throws {AppError} invalid_request for what is not JSON in UTF-8, or has a member twice, with a pointer to it */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    return parseText(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes))
  } catch (cause) {
    if (cause instanceof AppError) throw cause
    const detail = cause instanceof Error ? cause.message : String(cause)
    throw new AppError('invalid_request', `The body is not JSON in UTF-8: ${detail}.`, { cause })
  }
}

/** @throws {SyntaxError} @throws {AppError} invalid_request for a member that is there twice */
export function parseText(text: string): unknown {
  const value: unknown = JSON.parse(text)
  const twice = memberTwice(text)
  if (twice === undefined) return value
  const detail = 'is there twice, and a reader may take either'
  throw invalidRequest([{ pointer: toPointer(pathTo(text, twice)), detail }])
}

/**
 * Where the second of two members of one name begins. It leaps from mark to mark, past numbers and strings, and so costs
 * no more than the reading itself.
 * @param text which is JSON
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

/** Whether a string that ends there is a name. */
function isName(text: string, end: number): boolean {
  COLON.lastIndex = end
  return COLON.test(text)
}

/** The path of the member whose name begins there; only a fault needs it. */
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
