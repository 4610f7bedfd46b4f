/** Reads tokens one after the other, and knows how deep the grammar has gone. */
import { AppError } from '#shared/errors.ts'
import { LIMITS } from '#shared/limits.ts'
import { syntaxError, type Token } from './tokens.ts'

export interface Cursor {
  /** The token ahead. */
  peek(ahead?: number): Token
  next(): Token
  /** Takes the token ahead if it is this symbol or word. */
  accept(text: string): boolean
  /** @throws {AppError} invalid_request with the line when another token is ahead */
  expect(text: string): Token
  expectName(): Token
  /** Offset behind the last token that was taken. */
  readonly end: number
  /** Runs one rule one level deeper. @throws {AppError} too_large when nested past the bound */
  nested<T>(rule: () => T): T
  fail(expected: string): never
}

export function createCursor(tokens: readonly Token[]): Cursor {
  let at = 0
  let depth = 0
  const last = tokens.at(-1)
  const peek = (ahead = 0): Token => {
    const token = tokens[at + ahead] ?? last
    if (token === undefined) throw syntaxError(1, 'nothing at all')
    return token
  }
  const next = () => {
    const token = peek()
    at += 1
    return token
  }
  const fail = (expected: string): never => {
    const { line, text } = peek()
    throw syntaxError(line, `expected ${expected}, found ${text === '' ? 'the end' : text}`)
  }
  return {
    peek,
    next,
    fail,
    accept(text) {
      if (peek().text !== text) return false
      at += 1
      return true
    },
    expect: (text) => (peek().text === text ? next() : fail(text)),
    expectName: () => (peek().kind === 'name' ? next() : fail('a name')),
    get end() {
      return tokens[at - 1]?.end ?? 0
    },
    nested(rule) {
      depth += 1
      if (depth > LIMITS.wgslDepth) {
        const detail = `line ${peek().line}: is nested deeper than ${LIMITS.wgslDepth} levels`
        throw new AppError('too_large', `/kernel/wgsl ${detail}.`, {
          meta: { errors: [{ pointer: '/kernel/wgsl', detail }] },
        })
      }
      try {
        return rule()
      } finally {
        depth -= 1
      }
    },
  }
}
