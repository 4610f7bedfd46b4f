/** Built-in functions of constant expressions: https://www.w3.org/TR/WGSL/#builtin-functions */
import { alike, binary, each, parts, sum, unary } from './operators.ts'
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
  if (whole !== undefined) return whole(args)
  const real = REAL.get(name)
  if (real !== undefined) return each(args, ([x]) => ofReal(x, real))
  const bits = BITWISE.get(name)
  if (bits !== undefined) return each(args, ([x]) => ofBits(x, bits))
  const mixed = NUMERIC.get(name)
  if (mixed !== undefined) return each(args, (scalars) => mixed(alike(scalars)))
  return uncomputed(`${name}() is not computed here`)
}

const two = (scalars: readonly Scalar[]): [Scalar, Scalar] => {
  const [a, b] = scalars
  return a === undefined || b === undefined ? uncomputed('an argument is missing') : [a, b]
}
const three = (values: readonly Value[]): [Value, Value, Value] => {
  const [a, b, c] = values
  return a === undefined || b === undefined || c === undefined
    ? uncomputed('an argument is missing')
    : [a, b, c]
}
const compute = (operator: string, a: Value, b: Value): Scalar => toScalar(binary(operator, a, b))
const isTrue = (value: Value): boolean =>
  value.kind === 'bool' ? value.value : uncomputed('a condition is no bool')
const less = (a: Scalar, b: Scalar): boolean => isTrue(compute('<', a, b))

function least(a: Scalar, b: Scalar): Scalar {
  return isTrue(compute('<=', a, b)) ? a : b
}

function most(a: Scalar, b: Scalar): Scalar {
  return isTrue(compute('>=', a, b)) ? a : b
}

function same(value: number, { kind }: Scalar): Scalar {
  if (kind === 'bool') return uncomputed('an argument is a bool')
  return kind === 'int' || kind === 'i32' || kind === 'u32'
    ? integer(kind, BigInt(value))
    : float(kind, value)
}

function clamp(x: Scalar, low: Scalar, high: Scalar): Scalar {
  return least(most(x, low), high)
}

const NUMERIC: ReadonlyMap<string, (scalars: readonly Scalar[]) => Scalar> = new Map([
  ['min', (scalars) => least(...two(scalars))],
  ['max', (scalars) => most(...two(scalars))],
  ['clamp', (scalars) => clamp(...(three(scalars) as [Scalar, Scalar, Scalar]))],
  ['abs', ([x]) => (x !== undefined && isNegative(x) ? toScalar(unary('-', x)) : first([x]))],
  ['sign', ([x]) => signOf(first([x]))],
  ['saturate', ([x]) => ofFloat(x, (value) => clamp(value, same(0, value), same(1, value)))],
  ['fract', ([x]) => ofFloat(x, (value) => compute('-', value, rounded(value, Math.floor)))],
  ['step', (scalars) => stepOf(...two(scalars))],
  [
    'fma',
    (scalars) => {
      const [a, b, c] = three(scalars)
      return compute('+', compute('*', a, b), c)
    },
  ],
  [
    'pow',
    (scalars) => {
      const [base, exponent] = two(scalars)
      return ofReal(base, (x) => x ** exactly(exponent))
    },
  ],
  [
    'atan2',
    (scalars) => {
      const [y, x] = two(scalars)
      return ofReal(y, (value) => Math.atan2(value, exactly(x)))
    },
  ],
])

function exactly(x: Scalar): number {
  const { value, slack } = asFloat(x)
  return slack === 0 ? value : uncomputed('it is made of numbers that are rounded')
}

function first([x]: readonly (Scalar | undefined)[]): Scalar {
  return x ?? uncomputed('an argument is missing')
}

function isNegative(x: Scalar): boolean {
  return x.kind !== 'bool' && less(x, same(0, x))
}

function signOf(x: Scalar): Scalar {
  if (isFloat(x)) return float(x.kind, settled(x, Math.sign))
  return same(isNegative(x) ? -1 : Number(x.value) === 0 ? 0 : 1, x)
}

function stepOf(edge: Scalar, x: Scalar): Scalar {
  const [a, b] = [asFloat(edge), asFloat(x)]
  return same(isTrue(compute('<=', a, b)) ? 1 : 0, a)
}

function asFloat(x: Scalar | undefined): Float {
  const made = x?.kind === 'int' ? become(x, 'float') : x
  return made !== undefined && isFloat(made) ? made : uncomputed('an argument is no float')
}

function ofFloat(x: Scalar | undefined, of: (value: Float) => Scalar): Scalar {
  return of(asFloat(x))
}

function rounded(x: Float, of: (value: number) => number): Float {
  return float(x.kind, settled(x, of))
}

const EXACT = new Set<unknown>([Math.floor, Math.ceil, Math.trunc, roundEven, Math.sqrt])

function ofReal(x: Scalar | undefined, of: (value: number) => number): Scalar {
  const value = asFloat(x)
  if (EXACT.has(of) && of !== Math.sqrt) return rounded(value, of)
  if (value.slack > 0) return uncomputed('it is made of numbers that are rounded')
  const result = of(value.value)
  const isEven = Number.isInteger(result * 2 ** 16) && Math.abs(result) < 2 ** 40
  return EXACT.has(of) || isEven ? float(value.kind, result) : approximate(value.kind, result)
}

const REAL: ReadonlyMap<string, (value: number) => number> = new Map([
  ['floor', Math.floor],
  ['ceil', Math.ceil],
  ['trunc', Math.trunc],
  ['round', roundEven],
  ['sqrt', Math.sqrt],
  ['inverseSqrt', (x) => 1 / Math.sqrt(x)],
  ['exp', Math.exp],
  ['exp2', (x) => 2 ** x],
  ['log', Math.log],
  ['log2', Math.log2],
  ['sin', Math.sin],
  ['cos', Math.cos],
  ['tan', Math.tan],
  ['asin', Math.asin],
  ['acos', Math.acos],
  ['atan', Math.atan],
  ['sinh', Math.sinh],
  ['cosh', Math.cosh],
  ['tanh', Math.tanh],
  ['asinh', Math.asinh],
  ['acosh', Math.acosh],
  ['atanh', Math.atanh],
  ['degrees', (x) => (x * 180) / Math.PI],
  ['radians', (x) => (x * Math.PI) / 180],
])

function ofBits(x: Scalar | undefined, of: (bits: number) => number): Scalar {
  const value = x?.kind === 'int' ? become(x, 'i32') : x
  if (value === undefined || !isInteger(value)) return uncomputed('an argument is no integer')
  return integer(value.kind, BigInt(of(Number(BigInt.asUintN(32, value.value))) >>> 0))
}

const leadingZeros = (bits: number): number => Math.clz32(bits)
const trailingZeros = (bits: number): number => (bits === 0 ? 32 : 31 - Math.clz32(bits & -bits))

const BITWISE: ReadonlyMap<string, (bits: number) => number> = new Map([
  ['countLeadingZeros', leadingZeros],
  ['countTrailingZeros', trailingZeros],
  ['countOneBits', (bits) => bits.toString(2).replaceAll('0', '').length],
  ['firstTrailingBit', (bits) => (bits === 0 ? -1 : trailingZeros(bits))],
  [
    'reverseBits',
    (bits) => parseInt(Array.from(bits.toString(2).padStart(32, '0')).toReversed().join(''), 2),
  ],
])

const WHOLE: ReadonlyMap<string, (args: readonly Value[]) => Value> = new Map<
  string,
  (args: readonly Value[]) => Value
>([
  ['select', (args) => select(...three(args))],
  ['all', ([value]) => bool(itemsOf(value).every(isTrue))],
  ['any', ([value]) => bool(itemsOf(value).some(isTrue))],
  ['dot', ([a, b]) => sum(parts(present(a), present(b)))],
  ['length', ([a]) => lengthOf(present(a))],
  ['distance', ([a, b]) => lengthOf(binary('-', present(a), present(b)))],
  ['cross', ([a, b]) => cross(itemsOf(a), itemsOf(b))],
  ['transpose', ([a]) => transpose(itemsOf(a))],
  ['mix', (args) => mix(...three(args))],
  ['firstLeadingBit', (args) => each(args, ([x]) => firstLeadingBit(first([x])))],
  ['extractBits', ([e, at, count]) => extractBits(present(e), numberOf(at), numberOf(count))],
  ['insertBits', (args) => insertBits(args)],
  ['ldexp', ([x, by]) => binary('*', present(x), float('float', 2 ** numberOf(by)))],
])

function present(value: Value | undefined): Value {
  return value ?? uncomputed('an argument is missing')
}

function itemsOf(value: Value | undefined): readonly Value[] {
  const found = present(value)
  return isScalar(found) ? [found] : found.items
}

function numberOf(value: Value | undefined): number {
  const scalar = toScalar(present(value))
  return isInteger(scalar) ? Number(scalar.value) : uncomputed('an argument is no integer')
}

function select(otherwise: Value, then: Value, condition: Value): Value {
  const [a, b] = likeEachOther(otherwise, then)
  if (condition.kind === 'bool') return condition.value ? b : a
  const chosen = itemsOf(condition).map((item, i) => present(itemsOf(isTrue(item) ? b : a)[i]))
  return { kind: 'vector', items: chosen }
}

/** Both sides of `select(1, 2u, true)` get one type, whichever is selected. */
function likeEachOther(a: Value, b: Value): [Value, Value] {
  const kinds = [...itemsOf(a), ...itemsOf(b)].map(({ kind }) => kind as ScalarKind)
  const kind = commonKind(kinds)
  const cast = (value: Value) => each([value], ([x]) => become(first([x]), kind))
  return [cast(a), cast(b)]
}

function lengthOf(value: Value): Value {
  if (isScalar(value)) return callBuiltin('abs', [value])
  return callBuiltin('sqrt', [sum(parts(value, value))])
}

function cross(a: readonly Value[], b: readonly Value[]): Value {
  const at = (list: readonly Value[], i: number) => present(list[i % 3])
  const items = [1, 2, 0].map((i) =>
    binary('-', binary('*', at(a, i), at(b, i + 1)), binary('*', at(a, i + 1), at(b, i))),
  )
  return { kind: 'vector', items }
}

function transpose(columns: readonly Value[]): Value {
  const rows = itemsOf(columns[0]).map((_, row) => ({
    kind: 'vector' as const,
    items: columns.map((column) => present(itemsOf(column)[row])),
  }))
  return { kind: 'matrix', items: rows }
}

function mix(a: Value, b: Value, t: Value): Value {
  const rest = binary('-', float('float', 1), t)
  return binary('+', binary('*', a, rest), binary('*', b, t))
}

function firstLeadingBit(x: Scalar): Scalar {
  const value = x.kind === 'int' ? become(x, 'i32') : x
  if (!isInteger(value)) return uncomputed('an argument is no integer')
  // For a negative number: the first bit that differs from its sign.
  const bits = Number(BigInt.asUintN(32, value.value < 0n ? ~value.value : value.value))
  return integer(value.kind, BigInt(31 - leadingZeros(bits)))
}

function extractBits(value: Value, at: number, count: number): Value {
  if (at < 0 || count < 0 || at + count > 32) return uncomputed('it takes bits past the last one')
  return each([value], ([x]) => {
    const found = x?.kind === 'int' ? become(x, 'i32') : first([x])
    if (!isInteger(found)) return uncomputed('an argument is no integer')
    const bits = found.value >> BigInt(at)
    const cut = found.kind === 'u32' ? BigInt.asUintN(count, bits) : BigInt.asIntN(count, bits)
    return integer(found.kind, cut)
  })
}

function insertBits([into, from, at, count]: readonly Value[]): Value {
  const [offset, width] = [BigInt(numberOf(at)), BigInt(numberOf(count))]
  if (offset < 0n || width < 0n || offset + width > 32n)
    return uncomputed('it puts bits past the last one')
  return each([present(into), present(from)], (scalars) => {
    const [a, b] = two(alike(scalars).map((x) => (x.kind === 'int' ? become(x, 'i32') : x)))
    if (!isInteger(a) || !isInteger(b)) return uncomputed('an argument is no integer')
    const mask = ((1n << width) - 1n) << offset
    return integer(a.kind, (a.value & ~mask) | ((b.value << offset) & mask))
  })
}

/** https://www.w3.org/TR/WGSL/#bitcast-builtin */
export function bitcast(value: Value, kind: ScalarKind): Value {
  return each([value], ([x]) => {
    const given = first([x])
    const concrete =
      given.kind === 'int'
        ? become(given, 'i32')
        : given.kind === 'float'
          ? become(given, 'f32')
          : given
    const view = new DataView(new ArrayBuffer(4))
    if (concrete.kind === 'f32')
      view.setFloat32(
        0,
        settled(concrete, (number) => number),
      )
    else if (isInteger(concrete))
      view.setUint32(0, Number((concrete as Integer).value & 0xffffffffn))
    else return uncomputed(`bitcast of ${concrete.kind} is not computed here`)
    if (kind === 'f32') return float(kind, view.getFloat32(0))
    if (kind === 'u32' || kind === 'i32')
      return convert(integer('u32', BigInt(view.getUint32(0))), kind)
    return uncomputed(`bitcast to ${kind} is not computed here`)
  })
}
