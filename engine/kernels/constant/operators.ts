/** Operators of constant expressions: https://www.w3.org/TR/WGSL/#expression */
import {
  become,
  bool,
  commonKind,
  float,
  integer,
  isFloat,
  isInteger,
  isScalar,
  settled,
  toScalar,
  uncomputed,
  type Composite,
  type Float,
  type Integer,
  type Scalar,
  type ScalarKind,
  type Value,
} from './values.ts'

/** Calls a function that needs all its parameters. @throws {Uncomputed} when one is missing */
export function apply<T, R>(of: (...args: T[]) => R, args: readonly T[]): R {
  return args.length < of.length ? uncomputed('an operand is missing') : of(...args)
}

/** @throws {Uncomputed} */
export function unary(operator: string, operand: Value): Value {
  return each([operand], (value) => {
    if (value.kind === 'bool' && operator === '!') return bool(!value.value)
    if (isInteger(value)) {
      if (operator === '~') return integer(value.kind, ~value.value)
      if (operator === '-' && value.kind !== 'u32') return integer(value.kind, -value.value)
    }
    if (isFloat(value) && operator === '-') return { ...value, value: -value.value }
    return uncomputed(`${operator} does not take this operand`)
  })
}

/** @throws {Uncomputed} */
export function binary(operator: string, left: Value, right: Value): Value {
  if (operator === '*' && (left.kind === 'matrix' || right.kind === 'matrix'))
    return matrixProduct(left, right)
  const isShift = operator === '<<' || operator === '>>'
  return each([left, right], (a, b) => {
    if (isShift) return shift(operator, a, b)
    const kind = commonKind([a.kind, b.kind])
    return ofScalars(operator, become(a, kind), become(b, kind))
  })
}

function ofScalars(operator: string, a: Scalar, b: Scalar): Scalar {
  if (a.kind === 'bool' && b.kind === 'bool') return logic(operator, a.value, b.value)
  if (isInteger(a) && isInteger(b)) return ofIntegers(operator, a, b)
  if (isFloat(a) && isFloat(b)) return ofFloats(operator, a, b)
  return uncomputed(`${operator} does not take these operands`)
}

/** Converts scalars to their common type. */
export function alike(values: readonly Scalar[]): Scalar[] {
  const kind = commonKind(values.map((value) => value.kind))
  return values.map((value) => become(value, kind))
}

/** Applies a function component by component. A scalar beside vectors is repeated. */
export function each(values: readonly Value[], of: (...scalars: Scalar[]) => Scalar): Value {
  const wide = values.find((value): value is Composite => !isScalar(value))
  if (wide === undefined) return apply(of, values.filter(isScalar))
  if (wide.kind !== 'vector' && wide.kind !== 'matrix')
    return uncomputed(`it computes with a whole ${wide.kind}`)
  const items = wide.items.map((_, i) =>
    each(
      values.map((value) => {
        if (isScalar(value)) return value
        const isSame = value.kind === wide.kind && value.items.length === wide.items.length
        return (isSame ? value.items[i] : undefined) ?? uncomputed('its operands differ in size')
      }),
      of,
    ),
  )
  return { kind: wide.kind, items }
}

function logic(operator: string, left: boolean, right: boolean): Scalar {
  if (operator === '&' || operator === '&&') return bool(left && right)
  if (operator === '|' || operator === '||') return bool(left || right)
  if (operator === '==') return bool(left === right)
  if (operator === '!=') return bool(left !== right)
  return uncomputed(`${operator} does not take these operands`)
}

function ofIntegers(operator: string, { kind, value: a }: Integer, { value: b }: Integer): Scalar {
  if (operator === '/' || operator === '%') {
    if (b === 0n) return uncomputed('it divides by zero')
    const whole = a / b
    if (integer(kind, whole).value !== whole) return uncomputed('it overflows')
    return integer(kind, operator === '/' ? whole : a % b)
  }
  if (operator === '+') return integer(kind, a + b)
  if (operator === '-') return integer(kind, a - b)
  if (operator === '*') return integer(kind, a * b)
  if (operator === '&') return integer(kind, a & b)
  if (operator === '|') return integer(kind, a | b)
  if (operator === '^') return integer(kind, a ^ b)
  return compare(operator, a < b ? -1 : a > b ? 1 : 0)
}

function ofFloats(operator: string, a: Float, b: Float): Scalar {
  const { kind } = a
  const slack = a.slack + b.slack
  if (operator === '+') return float(kind, a.value + b.value, slack)
  if (operator === '-') return float(kind, a.value - b.value, slack)
  if (operator === '*')
    return float(
      kind,
      a.value * b.value,
      Math.abs(a.value) * b.slack + Math.abs(b.value) * a.slack + a.slack * b.slack,
    )
  if (operator === '/' || operator === '%') {
    if (Math.abs(b.value) <= b.slack) return uncomputed('it divides by zero')
    if (operator === '/') {
      const least = Math.abs(b.value) - b.slack
      const wide = (a.slack + Math.abs(a.value / b.value) * b.slack) / least
      return float(kind, a.value / b.value, wide)
    }
    return slack === 0
      ? float(kind, a.value % b.value)
      : uncomputed('its operands are rounded numbers')
  }
  const difference = { kind, value: a.value - b.value, slack }
  return compare(operator, settled(difference, Math.sign))
}

function compare(operator: string, sign: number): Scalar {
  if (operator === '==') return bool(sign === 0)
  if (operator === '!=') return bool(sign !== 0)
  if (operator === '<') return bool(sign < 0)
  if (operator === '<=') return bool(sign <= 0)
  if (operator === '>') return bool(sign > 0)
  if (operator === '>=') return bool(sign >= 0)
  return uncomputed(`${operator} does not take these operands`)
}

const BITS: Readonly<Partial<Record<ScalarKind, bigint>>> = { int: 64n, i32: 32n, u32: 32n }

function shift(operator: string, value: Scalar, by: Scalar): Scalar {
  if (!isInteger(value) || !isInteger(by))
    return uncomputed(`${operator} does not take these operands`)
  const { value: count } = by
  const bits = BITS[value.kind] ?? 0n
  if (count < 0n || (count >= bits && value.kind !== 'int'))
    return uncomputed(`it shifts by ${count}`)
  if (operator === '>>') return integer(value.kind, value.value >> count)
  if (count >= bits && value.value !== 0n) return uncomputed('it overflows')
  const shifted = value.value << (count >= bits ? 0n : count)
  const made = integer(value.kind, shifted)
  // Bits that are shifted out are an error in WGSL.
  return made.value === shifted ? made : uncomputed('it overflows')
}

/** Columns first: https://www.w3.org/TR/WGSL/#arithmetic-expr */
function matrixProduct(left: Value, right: Value): Value {
  if (isScalar(left) || isScalar(right))
    return each([left, right], (a, b) => toScalar(binary('*', a, b)))
  if (right.kind === 'matrix' && left.kind === 'matrix')
    return { kind: 'matrix', items: right.items.map((column) => matrixProduct(left, column)) }
  if (left.kind === 'matrix' && right.kind === 'vector') {
    const columns = left.items.map((column, i) =>
      binary('*', column, right.items[i] ?? uncomputed('its operands differ in size')),
    )
    return sum(columns)
  }
  if (left.kind === 'vector' && right.kind === 'matrix')
    return { kind: 'vector', items: right.items.map((column) => sum(parts(left, column))) }
  return uncomputed('* does not take these operands')
}

/** Products of the components of two vectors. */
export function parts(left: Value, right: Value): readonly Value[] {
  const product = binary('*', left, right)
  return isScalar(product) ? [product] : product.items
}

export function sum(values: readonly Value[]): Value {
  const [first, ...rest] = values
  if (first === undefined) return uncomputed('it is a sum of nothing')
  return rest.reduce((total, value) => binary('+', total, value), first)
}
