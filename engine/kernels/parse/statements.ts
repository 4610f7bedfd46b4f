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
const BARE_LOOP = {
  kind: 'loop',
  init: undefined,
  condition: undefined,
  update: undefined,
  continuing: undefined,
} as const

export function parseBlock(cursor: Cursor): Block {
  parseAttributes(cursor)
  const { start } = cursor.expect('{')
  const statements: Statement[] = []
  while (!cursor.accept('}')) statements.push(parseStatement(cursor))
  return { kind: 'block', statements, start, end: cursor.end }
}

function parseStatement(cursor: Cursor): Statement {
  return cursor.nested(() => {
    cursor.countStatement()
    const { start } = cursor.peek()
    parseAttributes(cursor)
    const parse = COMPOUND.get(cursor.peek().text)
    if (parse !== undefined) return parse(cursor, start)
    const simple = parseSimple(cursor, start)
    cursor.expect(';')
    return simple
  })
}

/** Statements without a semicolon at their end, by their first word. */
const COMPOUND = new Map<string, (cursor: Cursor, start: number) => Statement>([
  [';', parseEmpty],
  ['{', parseBlock],
  ['if', parseIf],
  ['switch', parseSwitch],
  ['for', parseFor],
  ['while', parseWhile],
  ['loop', parseLoop],
])

function parseEmpty(cursor: Cursor, start: number): Statement {
  cursor.next()
  return { kind: 'empty', start, end: cursor.end }
}

function parseIf(cursor: Cursor, start: number): Statement {
  cursor.next()
  const condition = parseExpression(cursor)
  const body = parseBlock(cursor)
  let otherwise: Statement | undefined
  if (cursor.accept('else'))
    otherwise = cursor.peek().text === 'if' ? parseStatement(cursor) : parseBlock(cursor)
  return { kind: 'if', condition, body, otherwise, start, end: cursor.end }
}

function parseSwitch(cursor: Cursor, start: number): Statement {
  cursor.next()
  const selector = parseExpression(cursor)
  parseAttributes(cursor)
  cursor.expect('{')
  const clauses: Clause[] = []
  while (!cursor.accept('}')) clauses.push(parseClause(cursor))
  return { kind: 'switch', selector, clauses, start, end: cursor.end }
}

function parseClause(cursor: Cursor): Clause {
  cursor.countStatement()
  const { start } = cursor.peek()
  const selectors: Expression[] = []
  if (!cursor.accept('default')) {
    cursor.expect('case')
    do {
      if ([':', '{', '@'].includes(cursor.peek().text)) break
      if (!cursor.accept('default')) selectors.push(parseExpression(cursor))
    } while (cursor.accept(','))
  }
  cursor.accept(':')
  return { selectors, body: parseBlock(cursor), start, end: cursor.end }
}

function parseFor(cursor: Cursor, start: number): Loop {
  const { line } = cursor.next()
  cursor.expect('(')
  const init = cursor.peek().text === ';' ? undefined : parseSimple(cursor, cursor.peek().start)
  cursor.expect(';')
  const condition = cursor.peek().text === ';' ? undefined : parseExpression(cursor)
  cursor.expect(';')
  const update = cursor.peek().text === ')' ? undefined : parseSimple(cursor, cursor.peek().start)
  cursor.expect(')')
  const parts = { init, condition, update, body: parseBlock(cursor) }
  return { ...BARE_LOOP, ...parts, line, start, end: cursor.end }
}

function parseWhile(cursor: Cursor, start: number): Loop {
  const { line } = cursor.next()
  const condition = parseExpression(cursor)
  return { ...BARE_LOOP, line, condition, body: parseBlock(cursor), start, end: cursor.end }
}

function parseLoop(cursor: Cursor, start: number): Loop {
  const { line } = cursor.next()
  parseAttributes(cursor)
  const open = cursor.expect('{')
  const statements: Statement[] = []
  let continuing: Block | undefined
  while (!cursor.accept('}')) {
    if (cursor.accept('continuing')) {
      continuing = parseBlock(cursor)
      cursor.expect('}')
      break
    }
    statements.push(parseStatement(cursor))
  }
  const { end } = cursor
  const body: Block = { kind: 'block', statements, start: open.start, end }
  return { ...BARE_LOOP, line, body, continuing, start, end }
}

/** Parses a statement without its semicolon, or a part of a `for`. */
function parseSimple(cursor: Cursor, start: number): Statement {
  const { text } = cursor.peek()
  if (text === 'var' || text === 'let' || text === 'const') return parseDeclaration(cursor)
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
  return parseAssignmentOrCall(cursor, start)
}

function parseAssignmentOrCall(cursor: Cursor, start: number): Statement {
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

/** Parses `var`, `let`, `const` or `override`, without its semicolon and leading attributes. */
export function parseDeclaration(cursor: Cursor): Declaration {
  const { text, start } = cursor.next()
  const keyword =
    text === 'let' || text === 'const' || text === 'override' ? text : ('var' as const)
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
  const at = { start, end: cursor.end, attributes: [] }
  return { kind: 'declaration', keyword, qualifiers, name, type, value, ...at }
}
