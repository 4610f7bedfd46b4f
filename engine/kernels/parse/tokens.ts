/** Splits WGSL into tokens, and tells template lists from comparisons as the specification does. */
import { AppError } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'

/** Replace `<` and `>` of template lists. No source can spell them. */
export const TEMPLATE_OPEN = 'template('
export const TEMPLATE_CLOSE = 'template)'

export interface Token {
  readonly kind: 'name' | 'number' | 'symbol' | 'end'
  readonly text: string
  readonly start: number
  readonly end: number
  readonly line: number
}

// https://www.w3.org/TR/WGSL/#blankspace-and-line-breaks
const LINE_BREAK = /\r\n|[\n\v\f\r\u0085\u2028\u2029]/g
const BLANK = /[ \t\n\v\f\r\u0085\u200e\u200f\u2028\u2029]+/y
const LINE_COMMENT = /\/\/[^\n\v\f\r\u0085\u2028\u2029]*/y
// https://www.w3.org/TR/WGSL/#identifiers
const NAME = /[_\p{XID_Start}][\p{XID_Continue}]*/uy
const NUMBER =
  /0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][+-]?[0-9]+[fh]?|[iu])?|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[iufh]?/y
/** `<` and `>` stand alone here: template lists decide whether `>>` and `>=` are operators. */
const SYMBOL = /->|&&|\|\||\+\+|--|==|!=|\+=|-=|\*=|\/=|%=|&=|\|=|\^=|[&@/!{}[\]:,<>=%().;*~+|^_-]/y

/** @throws {AppError} invalid_request with the line, too_large past the bound of tokens */
export function tokenize(source: string): Token[] {
  const raw: Token[] = []
  let at = 0
  let line = 1
  while (at < source.length) {
    const end = endOf(source, at, BLANK) ?? endOf(source, at, LINE_COMMENT)
    const blankEnd =
      end ?? (source.startsWith('/*', at) ? endOfBlockComment(source, at, line) : undefined)
    if (blankEnd !== undefined) {
      line += countLines(source, at, blankEnd)
      at = blankEnd
      continue
    }
    if (raw.length >= LIMITS.wgslTokens) throw tooManyTokens(line)
    const [kind, tokenEnd] = scan(source, at, line)
    raw.push({ kind, text: source.slice(at, tokenEnd), start: at, end: tokenEnd, line })
    at = tokenEnd
  }
  raw.push({ kind: 'end', text: '', start: at, end: at, line })
  return joinOperators(raw, findTemplates(raw))
}

function endOf(source: string, at: number, pattern: RegExp): number | undefined {
  pattern.lastIndex = at
  return pattern.test(source) ? pattern.lastIndex : undefined
}

function scan(source: string, at: number, line: number): [Token['kind'], number] {
  const name = endOf(source, at, NAME)
  if (name !== undefined) return ['name', name]
  const number = endOf(source, at, NUMBER)
  if (number !== undefined) return ['number', number]
  const symbol = endOf(source, at, SYMBOL)
  if (symbol !== undefined) return ['symbol', symbol]
  throw syntaxError(line, 'a character that WGSL does not know')
}

export function countLines(source: string, from: number, to: number): number {
  return source.slice(from, to).match(LINE_BREAK)?.length ?? 0
}

function tooManyTokens(line: number): AppError {
  const detail = `line ${line}: here are more than ${LIMITS.wgslTokens} tokens`
  return new AppError('too_large', `/kernel/wgsl ${detail}.`, {
    meta: { errors: [{ pointer: '/kernel/wgsl', detail }] },
  })
}

export function syntaxError(line: number, detail: string): AppError {
  const text = `line ${line}: ${detail}`
  return new AppError('invalid_request', `The kernel cannot be read: ${text}.`, {
    meta: { errors: [{ pointer: '/kernel/wgsl', detail: text }] },
  })
}

/** Block comments nest: https://www.w3.org/TR/WGSL/#comments */
function endOfBlockComment(source: string, from: number, line: number): number {
  let depth = 0
  const edge = /\/\*|\*\//g
  edge.lastIndex = from
  for (let found = edge.exec(source); found !== null; found = edge.exec(source)) {
    depth += found[0] === '/*' ? 1 : -1
    if (depth === 0) return edge.lastIndex
  }
  throw syntaxError(line, 'a comment that does not end')
}

/** Indices of the tokens that open and close template lists: https://www.w3.org/TR/WGSL/#template-list-discovery */
function findTemplates(tokens: readonly Token[]): ReadonlyMap<number, string> {
  const found = new Map<number, string>()
  let pending: { readonly index: number; readonly depth: number }[] = []
  let depth = 0
  const closeTo = (least: number) => {
    while ((pending.at(-1)?.depth ?? -1) >= least) pending.pop()
  }
  for (let i = 0; i < tokens.length; i += 1) {
    const text = tokens[i]?.text ?? ''
    const isBeforeTemplate = tokens[i - 1]?.kind === 'name'
    if (text === '<') {
      const next = tokens[i + 1]
      const isOperator = next !== undefined && touches(tokens[i], next) && /^[<=]/.test(next.text)
      if (isOperator) i += 1
      else if (isBeforeTemplate) pending.push({ index: i, depth })
    } else if (text === '>') {
      const open = pending.at(-1)
      if (open?.depth === depth) {
        pending.pop()
        found.set(open.index, TEMPLATE_OPEN).set(i, TEMPLATE_CLOSE)
      } else if (touches(tokens[i], tokens[i + 1]) && tokens[i + 1]?.text === '=') i += 1
    } else if (text === '(' || text === '[') depth += 1
    else if (text === ')' || text === ']') {
      closeTo(depth)
      depth = Math.max(0, depth - 1)
    } else if (text === '&&' || text === '||') closeTo(depth)
    else if (/^(?:[;{:]|=|[+\-*/%&|^]=)$/.test(text)) {
      depth = 0
      pending = []
    }
  }
  return found
}

const JOINED: ReadonlySet<string> = new Set(['<<=', '>>=', '<<', '>>', '<=', '>='])

/** Marks template lists, and joins the operators that begin with `<` or `>`. */
function joinOperators(raw: readonly Token[], templates: ReadonlyMap<number, string>): Token[] {
  const tokens: Token[] = []
  for (let i = 0; i < raw.length; i += 1) {
    const token = raw[i]
    if (token === undefined) break
    const template = templates.get(i)
    if (template !== undefined) tokens.push({ ...token, text: template })
    else if (token.text === '<' || token.text === '>') {
      let joined = token
      for (let next = raw[i + 1]; next !== undefined; next = raw[i + 1]) {
        const text = joined.text + next.text
        if (templates.has(i + 1) || !touches(joined, next) || !JOINED.has(text)) break
        joined = { ...joined, text, end: next.end }
        i += 1
      }
      tokens.push(joined)
    } else tokens.push(token)
  }
  return tokens
}

function touches(left: Token | undefined, right: Token | undefined): boolean {
  return left !== undefined && left.end === right?.start
}
