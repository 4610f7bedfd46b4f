/** Reads tokens in order and bounds how deep the grammar nests. */
import { invariant } from '#shared/base/errors.ts'
import { refuse } from './refuse.ts'
import { tokenize, type Token } from './tokens.ts'

/** Nesting of blocks and expressions. */
export const WGSL_DEPTH = 120
/** Operands in a row, as in `a + b + c`. */
const WGSL_CHAIN = 500

export type Cursor = ReturnType<typeof createCursor>

export function createCursor(source: string) {
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
    tokens,
    peek,
    next,
    /** @throws {AppError} invalid_request with the line */
    fail,
    /** Takes the next token if it is this symbol or word. */
    accept(text: string): boolean {
      const isNext = peek().text === text
      if (isNext) at += 1
      return isNext
    },
    /** @throws {AppError} invalid_request with the line when another token follows */
    expect: (text: string): Token => (peek().text === text ? next() : fail(text)),
    expectName: (): Token => (peek().kind === 'name' ? next() : fail('a name')),
    /** Offset after the last token that was taken. */
    get end(): number {
      return tokens[at - 1]?.end ?? 0
    },
    /** Bounds the parts of one chain, `a + b + c` or `a.b.c`. @throws {AppError} too_large past the bound */
    chained(parts: number): void {
      if (parts > WGSL_CHAIN) refuseHere('too_large', `a chain has more than ${WGSL_CHAIN} parts`)
    },
    countStatement(): void {
      statements += 1
    },
    get statements(): number {
      return statements
    },
    /** Runs one rule one level deeper. @throws {AppError} too_large when nested past the bound */
    nested<T>(rule: () => T): T {
      depth += 1
      if (depth > WGSL_DEPTH)
        refuseHere('too_large', `the kernel nests deeper than ${WGSL_DEPTH} levels`)
      try {
        return rule()
      } finally {
        depth -= 1
      }
    },
  }
}
