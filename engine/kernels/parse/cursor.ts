/** Reads tokens in order and bounds how deep the grammar nests. */
import { AppError } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { syntaxError, type Token } from './tokens.ts'

export interface Cursor {
  peek(ahead?: number): Token
  next(): Token
  /** Takes the next token if it is this symbol or word. */
  accept(text: string): boolean
  /** @throws {AppError} invalid_request with the line when another token follows */
  expect(text: string): Token
  expectName(): Token
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

export function createCursor(tokens: readonly Token[]): Cursor {
  let at = 0
  let depth = 0
  let statements = 0
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
  const tooDeep = (what: string): never => {
    const detail = `line ${peek().line}: ${what}`
    throw new AppError('too_large', `/kernel/wgsl ${detail}.`, {
      meta: { errors: [{ pointer: '/kernel/wgsl', detail }] },
    })
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
    chained(parts) {
      if (parts > LIMITS.wgslChain) tooDeep(`a chain has more than ${LIMITS.wgslChain} parts`)
    },
    countStatement() {
      statements += 1
    },
    get statements() {
      return statements
    },
    nested(rule) {
      depth += 1
      if (depth > LIMITS.wgslDepth) tooDeep(`nests deeper than ${LIMITS.wgslDepth} levels`)
      try {
        return rule()
      } finally {
        depth -= 1
      }
    },
  }
}
