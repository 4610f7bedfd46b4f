/** Expressions, names with template lists, and attributes: https://www.w3.org/TR/WGSL/#expression-grammar */
import type { Cursor } from './cursor.ts'
import type { Attribute, Call, Expression, ListEnd } from './syntax.ts'
import { TEMPLATE_CLOSE, TEMPLATE_OPEN } from './tokens.ts'

/**
 * Binding strength. WGSL requires parentheses where precedence is unclear, and the compiler refuses what lacks them.
 * So one total order reads every accepted text correctly.
 */
const PRECEDENCE: ReadonlyMap<string, number> = new Map(
  ['||', '&&', '|', '^', '&', '== !=', '< > <= >=', '<< >>', '+ -', '* / %'].flatMap(
    (operators, level) => operators.split(' ').map((operator) => [operator, level] as const),
  ),
)
const PREFIX: ReadonlySet<string> = new Set(['-', '!', '~', '*', '&'])

export function parseExpression(cursor: Cursor, least = 0): Expression {
  return cursor.nested(() => {
    let left = parseUnary(cursor)
    for (let parts = 1; ; parts += 1) {
      cursor.chained(parts)
      const operator = cursor.peek().text
      const level = PRECEDENCE.get(operator)
      if (level === undefined || level < least) return left
      cursor.next()
      const right = parseExpression(cursor, level + 1)
      left = { kind: 'binary', operator, left, right, start: left.start, end: right.end }
    }
  })
}

export function parseUnary(cursor: Cursor): Expression {
  const { text, kind, start } = cursor.peek()
  if (kind !== 'symbol' || !PREFIX.has(text)) return parsePostfix(cursor, parsePrimary(cursor))
  return cursor.nested(() => {
    cursor.next()
    const operand = parseUnary(cursor)
    return { kind: 'unary', operator: text, operand, start, end: operand.end }
  })
}

function parsePrimary(cursor: Cursor): Expression {
  const token = cursor.peek()
  if (token.kind === 'number' || token.text === 'true' || token.text === 'false') {
    cursor.next()
    return { kind: 'literal', text: token.text, start: token.start, end: token.end }
  }
  if (cursor.accept('(')) {
    const inner = parseExpression(cursor)
    cursor.expect(')')
    return { ...inner, start: token.start, end: cursor.end }
  }
  const name = parseName(cursor)
  return cursor.peek().text === '(' ? parseCall(cursor, name) : name
}

/** Parses the name of a type or of another declaration: `array<vec4f, 8>`. */
export function parseName(cursor: Cursor): Expression & { kind: 'name' } {
  const { text: name, start } = cursor.expectName()
  const args = cursor.accept(TEMPLATE_OPEN)
    ? parseList(cursor, TEMPLATE_CLOSE, parseExpression).items
    : []
  return { kind: 'name', name, args, start, end: cursor.end }
}

export function parseCall(cursor: Cursor, callee: Expression & { kind: 'name' }): Call {
  cursor.expect('(')
  const { items: args, ...close } = parseList(cursor, ')', parseExpression)
  return { kind: 'call', callee, args, ...close, start: callee.start, end: cursor.end }
}

function parsePostfix(cursor: Cursor, base: Expression): Expression {
  const { start } = base
  let expression = base
  for (let parts = 1; ; parts += 1) {
    cursor.chained(parts)
    if (cursor.accept('[')) {
      const index = parseExpression(cursor)
      cursor.expect(']')
      expression = { kind: 'index', base: expression, index, start, end: cursor.end }
    } else if (cursor.accept('.')) {
      const member = cursor.expectName().text
      expression = { kind: 'member', base: expression, member, start, end: cursor.end }
    } else return expression
  }
}

/** Items up to the closing token, which is taken too. */
export function parseList<T>(
  cursor: Cursor,
  close: string,
  parseItem: (cursor: Cursor) => T,
): ListEnd & { readonly items: readonly T[] } {
  const items: T[] = []
  let hasTrailingComma = false
  while (!cursor.accept(close)) {
    items.push(parseItem(cursor))
    hasTrailingComma = cursor.accept(',')
    if (hasTrailingComma) continue
    cursor.expect(close)
    break
  }
  return { items, closeAt: cursor.end - 1, hasTrailingComma }
}

export function parseAttributes(cursor: Cursor): Attribute[] {
  const attributes: Attribute[] = []
  while (cursor.accept('@')) {
    const { text: name } = cursor.expectName()
    const args = cursor.accept('(') ? parseList(cursor, ')', parseExpression).items : []
    attributes.push({ name, args })
  }
  return attributes
}
