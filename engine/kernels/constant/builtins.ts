/** Built-in functions of constant expressions: https://www.w3.org/TR/WGSL/#builtin-functions */
import { alike, apply, binary, each, parts, sum, unary } from './operators.ts'
import {
  approximate,
  become,
  bool,
  commonKind,
  convert,
  float,
  integer,
  isFloat,
  isInteger,
  isScalar,
  isTrue,
  roundEven,
  settled,
  toScalar,
  uncomputed,
  type Float,
  type Integer,
  type Scalar,
  type ScalarKind,
  type Value,
} from './values.ts'

/** @throws {Uncomputed} for an unknown function or unsuitable arguments */
export function callBuiltin(name: string, args: readonly Value[]): Value {
  const whole = WHOLE.get(name)
  if (whole !== undefined) return apply(whole, args)
  const byComponent = BY_COMPONENT.get(name)
  if (byComponent !== undefined) return each(args, byComponent)
  return uncomputed(`${name}() is not computed here`)
}

type OfScalars = (...scalars: Scalar[]) => Scalar

const compute = (operator: string, a: Value, b: Value): Scalar => toScalar(binary(operator, a, b))
const least = (a: Scalar, b: Scalar): Scalar => (isTrue(compute('<=', a, b)) ? a : b)
const most = (a: Scalar, b: Scalar): Scalar => (isTrue(compute('>=', a, b)) ? a : b)
const clamp = (x: Scalar, low: Scalar, high: Scalar): Scalar => least(most(x, low), high)
const isNegative = (x: Scalar): boolean =>
  x.kind !== 'bool' && isTrue(compute('<', x, numberLike(x, 0)))

function numberLike({ kind }: Scalar, value: number): Scalar {
  if (kind === 'bool') return uncomputed('an argument is a bool, not a number')
  return kind === 'int' || kind === 'i32' || kind === 'u32'
    ? integer(kind, BigInt(value))
    : float(kind, value)
}

function asFloat(x: Scalar): Float {
  const made = x.kind === 'int' ? become(x, 'float') : x
  return isFloat(made) ? made : uncomputed('an argument is not a float')
}

/** An abstract integer has the bits of an `i32`. */
function asInteger(x: Scalar): Integer {
  const made = x.kind === 'int' ? become(x, 'i32') : x
  return isInteger(made) ? made : uncomputed('an argument is not an integer')
}

function exactly(x: Scalar): number {
  const { value, slack } = asFloat(x)
  return slack === 0 ? value : uncomputed('it depends on rounded numbers')
}

/** For functions whose result every compiler rounds alike. */
const rounding =
  (of: (value: number) => number): OfScalars =>
  (x) => {
    const value = asFloat(x)
    return float(value.kind, settled(value, of))
  }

/** A compiler's library may differ, except where the result is a round number. */
function fromLibrary(x: Scalar, result: number): Scalar {
  const { kind } = asFloat(x)
  const isRound = Number.isInteger(result * 2 ** 16) && Math.abs(result) < 2 ** 40
  return isRound ? float(kind, result) : approximate(kind, result)
}

const real =
  (of: (value: number) => number): OfScalars =>
  (x) =>
    fromLibrary(x, of(exactly(x)))

const bits =
  (of: (bits: number) => number): OfScalars =>
  (x) => {
    const { kind, value } = asInteger(x)
    return integer(kind, BigInt(of(Number(BigInt.asUintN(32, value))) >>> 0))
  }

const common =
  (of: OfScalars): OfScalars =>
  (...scalars) =>
    apply(of, alike(scalars))

const trailingZeros = (word: number): number => (word === 0 ? 32 : 31 - Math.clz32(word & -word))

const BY_COMPONENT = new Map<string, OfScalars>([
  ['floor', rounding(Math.floor)],
  ['ceil', rounding(Math.ceil)],
  ['trunc', rounding(Math.trunc)],
  ['round', rounding(roundEven)],
  ['sqrt', (x) => float(asFloat(x).kind, Math.sqrt(exactly(x)))],
  ['inverseSqrt', real((x) => 1 / Math.sqrt(x))],
  ['exp', real(Math.exp)],
  ['exp2', real((x) => 2 ** x)],
  ['log', real(Math.log)],
  ['log2', real(Math.log2)],
  ['sin', real(Math.sin)],
  ['cos', real(Math.cos)],
  ['tan', real(Math.tan)],
  ['asin', real(Math.asin)],
  ['acos', real(Math.acos)],
  ['atan', real(Math.atan)],
  ['sinh', real(Math.sinh)],
  ['cosh', real(Math.cosh)],
  ['tanh', real(Math.tanh)],
  ['asinh', real(Math.asinh)],
  ['acosh', real(Math.acosh)],
  ['atanh', real(Math.atanh)],
  ['degrees', real((x) => (x * 180) / Math.PI)],
  ['radians', real((x) => (x * Math.PI) / 180)],
  ['pow', common((base, exponent) => fromLibrary(base, exactly(base) ** exactly(exponent)))],
  ['atan2', common((y, x) => fromLibrary(y, Math.atan2(exactly(y), exactly(x))))],
  ['countLeadingZeros', bits(Math.clz32)],
  ['countTrailingZeros', bits(trailingZeros)],
  ['countOneBits', bits((word) => word.toString(2).replaceAll('0', '').length)],
  ['firstTrailingBit', bits((word) => (word === 0 ? -1 : trailingZeros(word)))],
  ['firstLeadingBit', firstLeadingBit],
  [
    'reverseBits',
    bits((word) =>
      parseInt(Array.from(word.toString(2).padStart(32, '0')).toReversed().join(''), 2),
    ),
  ],
  ['min', common(least)],
  ['max', common(most)],
  ['clamp', common(clamp)],
  ['abs', common((x) => (isNegative(x) ? toScalar(unary('-', x)) : x))],
  ['sign', common(signOf)],
  ['saturate', (x) => clamp(asFloat(x), numberLike(asFloat(x), 0), numberLike(asFloat(x), 1))],
  ['fract', (x) => compute('-', asFloat(x), rounding(Math.floor)(x))],
  [
    'step',
    common((edge, x) =>
      numberLike(asFloat(edge), isTrue(compute('<=', asFloat(edge), asFloat(x))) ? 1 : 0),
    ),
  ],
  ['fma', common((a, b, c) => compute('+', compute('*', a, b), c))],
])

function signOf(x: Scalar): Scalar {
  if (isFloat(x)) return float(x.kind, settled(x, Math.sign))
  return numberLike(x, isNegative(x) ? -1 : Number(x.value) === 0 ? 0 : 1)
}

function firstLeadingBit(x: Scalar): Scalar {
  const { kind, value } = asInteger(x)
  // For a negative number: the first bit that differs from its sign.
  const word = Number(BigInt.asUintN(32, value < 0n ? ~value : value))
  return integer(kind, BigInt(31 - Math.clz32(word)))
}

const WHOLE = new Map<string, (...args: Value[]) => Value>([
  ['select', select],
  ['all', (value) => bool(itemsOf(value).every(isTrue))],
  ['any', (value) => bool(itemsOf(value).some(isTrue))],
  ['dot', (a, b) => sum(parts(a, b))],
  ['length', lengthOf],
  ['distance', (a, b) => lengthOf(binary('-', a, b))],
  ['cross', (a, b) => cross(itemsOf(a), itemsOf(b))],
  ['transpose', (matrix) => transpose(itemsOf(matrix))],
  ['mix', mix],
  ['extractBits', extractBits],
  ['insertBits', insertBits],
  ['ldexp', (x, by) => binary('*', x, float('float', 2 ** numberOf(by)))],
])

function itemsOf(value: Value): readonly Value[] {
  return isScalar(value) ? [value] : value.items
}

function itemAt(items: readonly Value[], index: number): Value {
  return items[index] ?? uncomputed('its operands differ in size')
}

function numberOf(value: Value): number {
  const scalar = toScalar(value)
  return isInteger(scalar) ? Number(scalar.value) : uncomputed('an argument is not an integer')
}

/** Both sides of `select(1, 2u, true)` get one type, whichever is selected. */
function select(otherwise: Value, then: Value, condition: Value): Value {
  const kinds = [otherwise, then].flatMap(itemsOf).map(({ kind }) => kind as ScalarKind)
  const kind = commonKind(kinds)
  const [a, b] = [otherwise, then].map((value) => each([value], (x) => become(x, kind)))
  if (a === undefined || b === undefined) return uncomputed('an argument is missing')
  if (condition.kind === 'bool') return condition.value ? b : a
  const items = itemsOf(condition).map((item, i) => itemAt(itemsOf(isTrue(item) ? b : a), i))
  return { kind: 'vector', items }
}

function lengthOf(value: Value): Value {
  if (isScalar(value)) return callBuiltin('abs', [value])
  return callBuiltin('sqrt', [sum(parts(value, value))])
}

function cross(a: readonly Value[], b: readonly Value[]): Value {
  const times = (i: number, j: number) => binary('*', itemAt(a, i % 3), itemAt(b, j % 3))
  const items = [1, 2, 0].map((i) => binary('-', times(i, i + 1), times(i + 1, i)))
  return { kind: 'vector', items }
}

function transpose(columns: readonly Value[]): Value {
  const rows = itemsOf(itemAt(columns, 0)).map((_, row) => ({
    kind: 'vector' as const,
    items: columns.map((column) => itemAt(itemsOf(column), row)),
  }))
  return { kind: 'matrix', items: rows }
}

function mix(a: Value, b: Value, t: Value): Value {
  const rest = binary('-', float('float', 1), t)
  return binary('+', binary('*', a, rest), binary('*', b, t))
}

/** @throws {Uncomputed} for bits past the last one */
function bitRange(at: Value, count: Value): { readonly offset: bigint; readonly width: number } {
  const [offset, width] = [numberOf(at), numberOf(count)]
  return offset < 0 || width < 0 || offset + width > 32
    ? uncomputed('it reaches bits past the last one')
    : { offset: BigInt(offset), width }
}

function extractBits(from: Value, at: Value, count: Value): Value {
  const { offset, width } = bitRange(at, count)
  return each([from], (x) => {
    const { kind, value } = asInteger(x)
    const moved = value >> offset
    const cut = kind === 'u32' ? BigInt.asUintN(width, moved) : BigInt.asIntN(width, moved)
    return integer(kind, cut)
  })
}

function insertBits(into: Value, from: Value, at: Value, count: Value): Value {
  const { offset, width } = bitRange(at, count)
  const mask = ((1n << BigInt(width)) - 1n) << offset
  return each(
    [into, from],
    common((a, b) => {
      const { kind, value } = asInteger(a)
      return integer(kind, (value & ~mask) | ((asInteger(b).value << offset) & mask))
    }),
  )
}

/** https://www.w3.org/TR/WGSL/#bitcast-builtin */
export function bitcast(value: Value, kind: ScalarKind): Value {
  return each([value], (x) => {
    const view = new DataView(new ArrayBuffer(4))
    if (isInteger(x)) view.setUint32(0, Number(asInteger(x).value & 0xffffffffn))
    else if (x.kind === 'f32' || x.kind === 'float')
      view.setFloat32(0, settled(asFloat(become(x, 'f32')), Number))
    else return uncomputed(`bitcast of ${x.kind} is not computed here`)
    if (kind === 'f32') return float(kind, view.getFloat32(0))
    if (kind === 'u32' || kind === 'i32')
      return convert(integer('u32', BigInt(view.getUint32(0))), kind)
    return uncomputed(`bitcast to ${kind} is not computed here`)
  })
}
