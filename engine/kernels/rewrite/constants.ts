/** Values of constant expressions, as far as sizes of arrays and workgroups are made of them. */
import type { Expression } from '../parse/syntax.ts'

type Lookup = (name: string) => number | undefined

/** WGSL computes in 32 bits and wraps; sizes do not need to. */
const LARGEST = 2 ** 31 - 1

/**
 * @returns undefined for what is no number, or is computed in a way that sizes seldom are: also for anything on the way
 * that is below zero or could wrap, whose value here would be another than the compiler's
 */
export function evaluateConstant(expression: Expression, lookup: Lookup): number | undefined {
  const value = compute(expression, lookup)
  return value !== undefined && value >= 0 && value <= LARGEST ? value : undefined
}

function compute(expression: Expression, lookup: Lookup): number | undefined {
  const evaluate = (inner: Expression) => evaluateConstant(inner, lookup)
  if (expression.kind === 'literal') return literal(expression.text)
  if (expression.kind === 'name') return lookup(expression.name)
  if (expression.kind === 'binary') {
    const [left, right] = [evaluate(expression.left), evaluate(expression.right)]
    if (left === undefined || right === undefined) return undefined
    return BINARY[expression.operator]?.(left, right)
  }
  if (expression.kind === 'call') {
    const values = expression.args.map(evaluate)
    const [first, second] = values
    if (first === undefined) return undefined
    const { name } = expression.callee
    if (values.length === 1 && /^[iu]32$/.test(name)) return Math.trunc(first)
    if (second === undefined || values.length !== 2) return undefined
    if (name === 'min') return Math.min(first, second)
    if (name === 'max') return Math.max(first, second)
  }
  return undefined
}

function literal(text: string): number | undefined {
  const digits = /^(0[xX][0-9a-fA-F]+|[0-9]+)[iu]?$/.exec(text)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

const BINARY: Readonly<Record<string, (left: number, right: number) => number | undefined>> = {
  '+': (left, right) => left + right,
  '-': (left, right) => left - right,
  '*': (left, right) => left * right,
  '/': (left, right) => (right === 0 ? undefined : Math.trunc(left / right)),
  '%': (left, right) => (right === 0 ? undefined : left % right),
  '<<': (left, right) => (right >= 0 && right < 32 ? left * 2 ** right : undefined),
  '>>': (left, right) => (right >= 0 && right < 32 ? Math.floor(left / 2 ** right) : undefined),
}
