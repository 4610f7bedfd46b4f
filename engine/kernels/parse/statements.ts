/** Statements of WGSL: https://www.w3.org/TR/WGSL/#statements */
import type { Cursor } from './cursor.ts'
import { parseAttributes, parseExpression, parseName, parseUnary } from './expressions.ts'
import type { Block, Clause, Declaration, Expression, Loop, Statement } from './syntax.ts'
import { TEMPLATE_CLOSE, TEMPLATE_OPEN } from './tokens.ts'

const ASSIGNMENTS: ReadonlySet<string> = new Set([
  '=',
  '+=',
  '-=',
  '*=',
  '/=',
  '%=',
  '&=',
  '|=',
  '^=',
  '<<=',
  '>>=',
])

export interface StatementParser {
  block(): Block
  /** `var`, `let`, `const` or `override`, without the semicolon. */
  declaration(attributes?: Declaration['attributes']): Declaration
  readonly statements: number
}

export function createStatementParser(cursor: Cursor): StatementParser {
  let count = 0

  const block = (): Block => {
    parseAttributes(cursor)
    const { start } = cursor.expect('{')
    const statements: Statement[] = []
    while (!cursor.accept('}')) statements.push(statement())
    return { kind: 'block', statements, start, end: cursor.end }
  }

  const statement = (): Statement =>
    cursor.nested(() => {
      count += 1
      const { start } = cursor.peek()
      parseAttributes(cursor)
      const parse = COMPOUND[cursor.peek().text]
      if (parse !== undefined) return parse(start)
      const simple = simpleStatement(start)
      cursor.expect(';')
      return { ...simple, end: cursor.end }
    })

  const COMPOUND: Readonly<Record<string, ((start: number) => Statement) | undefined>> = {
    __proto__: null as never,
    ';': (start) => {
      cursor.next()
      return { kind: 'empty', start, end: cursor.end }
    },
    '{': () => block(),
    if: (start) => {
      cursor.next()
      const condition = parseExpression(cursor)
      const then = block()
      const hasElse = cursor.accept('else')
      const otherwise = hasElse ? (cursor.peek().text === 'if' ? statement() : block()) : undefined
      return { kind: 'if', condition, then, otherwise, start, end: cursor.end }
    },
    switch: (start) => {
      cursor.next()
      const selector = parseExpression(cursor)
      parseAttributes(cursor)
      cursor.expect('{')
      const clauses: Clause[] = []
      while (!cursor.accept('}')) clauses.push(clause())
      return { kind: 'switch', selector, clauses, start, end: cursor.end }
    },
    for: forLoop,
    while: (start) => {
      const { line } = cursor.next()
      const condition = parseExpression(cursor)
      return { ...BARE_LOOP, form: 'while', line, condition, body: block(), start, end: cursor.end }
    },
    loop: plainLoop,
  }

  function clause(): Clause {
    count += 1
    const { start, line: _line } = cursor.peek()
    const selectors: Expression[] = []
    let isDefault = cursor.accept('default')
    if (!isDefault) {
      cursor.expect('case')
      do {
        if ([':', '{', '@'].includes(cursor.peek().text)) break
        if (cursor.accept('default')) isDefault = true
        else selectors.push(parseExpression(cursor))
      } while (cursor.accept(','))
    }
    cursor.accept(':')
    return { selectors, isDefault, body: block(), start, end: cursor.end }
  }

  function forLoop(start: number): Loop {
    const { line } = cursor.next()
    cursor.expect('(')
    const init = cursor.peek().text === ';' ? undefined : simpleStatement(cursor.peek().start)
    cursor.expect(';')
    const condition = cursor.peek().text === ';' ? undefined : parseExpression(cursor)
    cursor.expect(';')
    const update = cursor.peek().text === ')' ? undefined : simpleStatement(cursor.peek().start)
    cursor.expect(')')
    const body = block()
    const parts = { init, condition, update, body }
    return { ...BARE_LOOP, ...parts, form: 'for', line, start, end: cursor.end }
  }

  function plainLoop(start: number): Loop {
    const { line } = cursor.next()
    parseAttributes(cursor)
    const open = cursor.expect('{')
    const statements: Statement[] = []
    let continuing: Block | undefined
    while (!cursor.accept('}')) {
      if (cursor.accept('continuing')) {
        continuing = block()
        cursor.expect('}')
        break
      }
      statements.push(statement())
    }
    const { end } = cursor
    const body: Block = { kind: 'block', statements, start: open.start, end }
    return { ...BARE_LOOP, form: 'loop', line, body, continuing, start, end }
  }

  /** A statement that a semicolon ends, without it; also the head of a `for`. */
  function simpleStatement(start: number): Statement {
    const { text } = cursor.peek()
    if (text === 'var' || text === 'let' || text === 'const') return declaration()
    if (text === 'continue' || text === 'discard') {
      cursor.next()
      return { kind: text, start, end: cursor.end }
    }
    if (cursor.accept('break')) {
      if (!cursor.accept('if')) return { kind: 'break', start, end: cursor.end }
      return { kind: 'break-if', condition: parseExpression(cursor), start, end: cursor.end }
    }
    if (cursor.accept('return')) {
      const value = cursor.peek().text === ';' ? undefined : parseExpression(cursor)
      return { kind: 'return', value, start, end: cursor.end }
    }
    if (cursor.accept('const_assert'))
      return { kind: 'assert', condition: parseExpression(cursor), start, end: cursor.end }
    return assignmentOrCall(start)
  }

  function assignmentOrCall(start: number): Statement {
    const isPhony = cursor.peek().text === '_' && cursor.peek(1).text === '='
    const target = isPhony ? undefined : parseUnary(cursor)
    if (isPhony) cursor.next()
    const { text: operator } = cursor.peek()
    if (operator === '++' || operator === '--') {
      cursor.next()
      return { kind: 'assign', operator, target, value: undefined, start, end: cursor.end }
    }
    if (ASSIGNMENTS.has(operator)) {
      cursor.next()
      const value = parseExpression(cursor)
      return { kind: 'assign', operator, target, value, start, end: cursor.end }
    }
    if (target?.kind !== 'call') return cursor.fail('an assignment or a call')
    return { kind: 'call', call: target, start, end: cursor.end }
  }

  function declaration(attributes: Declaration['attributes'] = []): Declaration {
    const { text, start } = cursor.next()
    const keyword =
      text === 'var' || text === 'let' || text === 'const' || text === 'override'
        ? text
        : cursor.fail('a declaration')
    const qualifiers: Expression[] = []
    if (keyword === 'var' && cursor.accept(TEMPLATE_OPEN)) {
      while (!cursor.accept(TEMPLATE_CLOSE)) {
        qualifiers.push(parseName(cursor))
        if (!cursor.accept(',') && cursor.peek().text !== TEMPLATE_CLOSE) cursor.fail(',')
      }
    }
    const { text: name } = cursor.expectName()
    const type = cursor.accept(':') ? parseName(cursor) : undefined
    const value = cursor.accept('=') ? parseExpression(cursor) : undefined
    const { end } = cursor
    return { kind: 'declaration', keyword, attributes, qualifiers, name, type, value, start, end }
  }

  return {
    block,
    declaration,
    get statements() {
      return count
    },
  }
}

const BARE_LOOP = {
  kind: 'loop',
  init: undefined,
  condition: undefined,
  update: undefined,
  continuing: undefined,
} as const
