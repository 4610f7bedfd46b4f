/** Parses a WGSL module by recursive descent over the grammar of https://www.w3.org/TR/WGSL/. */
import { createCursor, type Cursor } from './cursor.ts'
import { parseAttributes, parseExpression, parseList, parseName } from './expressions.ts'
import { parseBlock, parseDeclaration } from './statements.ts'
import type {
  Attribute,
  Directive,
  FunctionDeclaration,
  KernelModule,
  ModuleDeclaration,
  Parameter,
  StructDeclaration,
} from './syntax.ts'

/**
 * Reads everything that WGSL accepts, and some of what it forbids; the compiler refuses that.
 * @throws {AppError} invalid_request with the line, too_large when the source has too many tokens or nests too deep
 */
export function parseKernel(source: string): KernelModule {
  const cursor = createCursor(source)
  const directives: Directive[] = []
  for (let found = directive(cursor); found !== undefined; found = directive(cursor))
    directives.push(found)
  const declarations: ModuleDeclaration[] = []
  while (cursor.peek().kind !== 'end') {
    if (cursor.accept(';')) continue
    declarations.push(moduleDeclaration(cursor))
  }
  const names = cursor.tokens.flatMap(({ kind, text }) => (kind === 'name' ? [text] : []))
  return {
    source,
    directives,
    declarations,
    identifiers: new Set(names),
    statements: cursor.statements,
  }
}

function directive(cursor: Cursor): Directive | undefined {
  while (cursor.accept(';'));
  const { text: kind, start } = cursor.peek()
  if (kind !== 'enable' && kind !== 'requires' && kind !== 'diagnostic') return undefined
  cursor.next()
  const names: string[] = []
  while (!cursor.accept(';')) {
    const { text, kind: token } = cursor.next()
    if (token === 'end') cursor.fail(';')
    if (token === 'name') names.push(text)
  }
  return { kind, start, names }
}

function moduleDeclaration(cursor: Cursor): ModuleDeclaration {
  const { start: beginsAt } = cursor.peek()
  const attributes = parseAttributes(cursor)
  const { text, start } = cursor.peek()
  if (text === 'fn') return functionDeclaration(cursor, attributes, beginsAt)
  if (text === 'struct') return structDeclaration(cursor)
  if (text === 'var' || text === 'const' || text === 'override') {
    const declaration = parseDeclaration(cursor)
    cursor.expect(';')
    return { ...declaration, attributes }
  }
  if (cursor.accept('alias')) {
    const { text: name } = cursor.expectName()
    cursor.expect('=')
    const type = parseName(cursor)
    cursor.expect(';')
    return { kind: 'alias', name, type, start, end: cursor.end }
  }
  if (cursor.accept('const_assert')) {
    const condition = parseExpression(cursor)
    cursor.expect(';')
    return { kind: 'assert', condition, start, end: cursor.end }
  }
  return cursor.fail('a declaration')
}

function functionDeclaration(
  cursor: Cursor,
  attributes: readonly Attribute[],
  start: number,
): FunctionDeclaration {
  const { line } = cursor.expect('fn')
  const { text: name } = cursor.expectName()
  cursor.expect('(')
  const { items: parameters, ...close } = parseList(cursor, ')', parseParameter)
  let returnType: FunctionDeclaration['returnType']
  if (cursor.accept('->')) {
    parseAttributes(cursor)
    returnType = parseName(cursor)
  }
  const signature = { name, attributes, parameters, ...close, returnType }
  const body = parseBlock(cursor)
  return { kind: 'function', ...signature, body, line, start, end: cursor.end }
}

function structDeclaration(cursor: Cursor): StructDeclaration {
  const { start } = cursor.expect('struct')
  const { text: name } = cursor.expectName()
  cursor.expect('{')
  const { items: members } = parseList(cursor, '}', parseParameter)
  return { kind: 'struct', name, members, start, end: cursor.end }
}

function parseParameter(cursor: Cursor): Parameter {
  const attributes = parseAttributes(cursor)
  const { text: name, start: nameAt } = cursor.expectName()
  cursor.expect(':')
  return { name, nameAt, attributes, type: parseName(cursor) }
}
