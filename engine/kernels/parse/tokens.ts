/** Splits WGSL into tokens, and tells template lists from comparisons as the specification does. */
import { countBreaks, refuse } from './refuse.ts'

const WGSL_TOKENS = 20_000

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
const BLANK = /[ \t\n\v\f\r\u0085\u200e\u200f\u2028\u2029]+/y
const LINE_COMMENT = /\/\/[^\n\v\f\r\u0085\u2028\u2029]*/y
// https://www.w3.org/TR/WGSL/#identifiers
const NAME = /[_\p{XID_Start}][\p{XID_Continue}]*/uy
const NUMBER =
  /0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][+-]?[0-9]+[fh]?|[iu])?|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[iufh]?/y
/** `<` and `>` stand alone here: template lists decide whether `>>` and `>=` are operators. */
const SYMBOL = /->|&&|\|\||\+\+|--|==|!=|\+=|-=|\*=|\/=|%=|&=|\|=|\^=|[&@/!{}[\]:,<>=%().;*~+|^_-]/y
const PATTERNS = [
  ['name', NAME],
  ['number', NUMBER],
  ['symbol', SYMBOL],
] as const

/** @throws {AppError} invalid_request with the line, too_large past the bound of tokens */
export function tokenize(source: string): Token[] {
  const raw: Token[] = []
  let at = 0
  let line = 1
  while (at < source.length) {
    const blankEnd = endOfBlank(source, at)
    if (blankEnd !== undefined) {
      line += countBreaks(source.slice(at, blankEnd))
      at = blankEnd
      continue
    }
    if (raw.length >= WGSL_TOKENS)
      throw refuse(
        'too_large',
        { source, start: at },
        `the kernel has more than ${WGSL_TOKENS} tokens`,
      )
    const [kind, end] = scan(source, at)
    raw.push({ kind, text: source.slice(at, end), start: at, end, line })
    at = end
  }
  raw.push({ kind: 'end', text: '', start: at, end: at, line })
  return joinOperators(raw, findTemplates(raw))
}

function endOf(source: string, at: number, pattern: RegExp): number | undefined {
  pattern.lastIndex = at
  return pattern.test(source) ? pattern.lastIndex : undefined
}

function scan(source: string, at: number): [Token['kind'], number] {
  for (const [kind, pattern] of PATTERNS) {
    const end = endOf(source, at, pattern)
    if (end !== undefined) return [kind, end]
  }
  throw refuse('invalid_request', { source, start: at }, 'WGSL has no such character')
}

function endOfBlank(source: string, at: number): number | undefined {
  const end = endOf(source, at, BLANK) ?? endOf(source, at, LINE_COMMENT)
  return end ?? (source.startsWith('/*', at) ? endOfBlockComment(source, at) : undefined)
}

/** Finds the end of a block comment; they nest: https://www.w3.org/TR/WGSL/#comments */
function endOfBlockComment(source: string, start: number): number {
  let depth = 0
  const edge = /\/\*|\*\//g
  edge.lastIndex = start
  for (let found = edge.exec(source); found !== null; found = edge.exec(source)) {
    depth += found[0] === '/*' ? 1 : -1
    if (depth === 0) return edge.lastIndex
  }
  throw refuse('invalid_request', { source, start }, 'a comment has no end')
}

/** Finds the tokens that open and close template lists: https://www.w3.org/TR/WGSL/#template-list-discovery */
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
