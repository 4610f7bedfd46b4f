/** Reads tokens in order and bounds how deep the grammar nests. */
import { invariant } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { refuse } from './refuse.ts'
import { tokenize, type Token } from './tokens.ts'

export interface Cursor {
  peek(ahead?: number): Token
  next(): Token
  /** Takes the next token if it is this symbol or word. */
  accept(text: string): boolean
  /** @throws {AppError} invalid_request with the line when another token follows */
  expect(text: string): Token
  expectName(): Token
  readonly tokens: readonly Token[]
  /** Offset after the last token that was taken. */
  readonly end: number
  /** Runs one rule one level deeper. @throws {AppError} too_large when nested past the bound */
  nested<T>(rule: () => T): T
  /** Bounds the parts of one chain, `a + b + c` or `a.b.c`. @throws {AppError} too_large past the bound */
  chained(parts: number): void
  fail(expected: string): never
  countStatement(): void
  readonly statements: number
}

export function createCursor(source: string): Cursor {
  const tokens = tokenize(source)
  let at = 0
  let depth = 0
  let statements = 0
  const peek = (ahead = 0): Token => {
    const token = tokens[at + ahead] ?? tokens.at(-1)
    invariant(token !== undefined, 'the last token is the end')
    return token
  }
  const next = () => {
    const token = peek()
    at += 1
    return token
  }
  const refuseHere = (code: 'invalid_request' | 'too_large', detail: string): never => {
    throw refuse(code, { source, start: peek().start }, detail)
  }
  const fail = (expected: string): never => {
    const found = peek().text || 'the end'
    return refuseHere('invalid_request', `expected ${expected}, found ${found}`)
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
    tokens,
    get end() {
      return tokens[at - 1]?.end ?? 0
    },
    chained(parts) {
      if (parts > LIMITS.wgslChain)
        refuseHere('too_large', `a chain has more than ${LIMITS.wgslChain} parts`)
    },
    countStatement() {
      statements += 1
    },
    get statements() {
      return statements
    },
    nested(rule) {
      depth += 1
      if (depth > LIMITS.wgslDepth)
        refuseHere('too_large', `the kernel nests deeper than ${LIMITS.wgslDepth} levels`)
      try {
        return rule()
      } finally {
        depth -= 1
      }
    },
  }
}
