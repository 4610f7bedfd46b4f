/** Values of constant expressions (https://www.w3.org/TR/WGSL/#const-expr). Floats carry how far a compiler's result may differ. */

/** `int` and `float` are the abstract types of literals without a suffix. */
export type IntegerKind = 'int' | 'i32' | 'u32'
export type FloatKind = 'float' | 'f32' | 'f16'
export type ScalarKind = 'bool' | IntegerKind | FloatKind

export interface Bool {
  readonly kind: 'bool'
  readonly value: boolean
}

export interface Integer {
  readonly kind: IntegerKind
  readonly value: bigint
}

export interface Float {
  readonly kind: FloatKind
  readonly value: number
  /** Bound on the difference from the compiler's value. 0 where every compiler agrees. */
  readonly slack: number
}

export type Scalar = Bool | Integer | Float

export interface Composite {
  readonly kind: 'vector' | 'matrix' | 'array' | 'struct'
  readonly items: readonly Value[]
  readonly names?: readonly string[]
}

export type Value = Scalar | Composite

export class Uncomputed extends Error {}

export function uncomputed(why: string): never {
  throw new Uncomputed(why)
}

export const isFloat = (value: Value): value is Float =>
  value.kind === 'float' || value.kind === 'f32' || value.kind === 'f16'
export const isInteger = (value: Value): value is Integer =>
  value.kind === 'int' || value.kind === 'i32' || value.kind === 'u32'
export const isScalar = (value: Value): value is Scalar => 'value' in value

/** @throws {Uncomputed} for anything but a bool */
export const isTrue = (value: Value): boolean =>
  value.kind === 'bool' ? value.value : uncomputed('a condition is not a bool')

export function bool(value: boolean): Bool {
  return { kind: 'bool', value }
}

/** Concrete integers wrap; abstract ones must fit in 64 bits. @throws {Uncomputed} */
export function integer(kind: IntegerKind, value: bigint): Integer {
  if (kind === 'i32') return { kind, value: BigInt.asIntN(32, value) }
  if (kind === 'u32') return { kind, value: BigInt.asUintN(32, value) }
  return BigInt.asIntN(64, value) === value ? { kind, value } : uncomputed('it exceeds 64 bits')
}

/** Rounds to the type. @throws {Uncomputed} for what is not finite */
export function float(kind: FloatKind, exact: number, slack = 0): Float {
  const value = kind === 'float' ? exact : kind === 'f32' ? Math.fround(exact) : roundHalf(exact)
  if (!Number.isFinite(value) || !Number.isFinite(slack)) uncomputed('it is not a finite number')
  if (kind === 'f16' && Math.abs(value) > 65_504) uncomputed('it exceeds the largest f16')
  return { kind, value, slack: slack === 0 ? 0 : slack + Math.abs(value) * PRECISION[kind] }
}

/** Relative rounding step of each type. */
const PRECISION = { float: 2 ** -52, f32: 2 ** -23, f16: 2 ** -10 } as const

/** Adds the slack by which compilers' libraries may differ in a function like `sin`. */
export function approximate(kind: FloatKind, value: number): Float {
  const spread = kind === 'float' ? 2 ** -40 : 2 ** -14
  return float(kind, value, Math.abs(value) * spread + spread * 2 ** -20)
}

function roundHalf(value: number): number {
  if (value === 0 || !Number.isFinite(value)) return value
  const exponent = Math.max(-14, Math.floor(Math.log2(Math.abs(value))))
  const unit = 2 ** (exponent - 10)
  return roundEven(value / unit) * unit
}

export function roundEven(value: number): number {
  const down = Math.floor(value)
  const rest = value - down
  if (rest !== 0.5) return Math.round(value)
  return down % 2 === 0 ? down : down + 1
}

/** Applies `of` to a float when the result is the same over its whole slack. @throws {Uncomputed} */
export function settled<T>({ value, slack }: Float, of: (value: number) => T): T {
  if (slack === 0) return of(value)
  const low = of(value - slack)
  return low === of(value + slack) ? low : uncomputed('compilers may differ by a rounding')
}

/** @throws {Uncomputed} for a composite */
export function toScalar(value: Value): Scalar {
  return isScalar(value) ? value : uncomputed(`a ${value.kind} stands where one number is needed`)
}

/** Converts an abstract number implicitly. https://www.w3.org/TR/WGSL/#conversion-rank */
export function become(scalar: Scalar, kind: ScalarKind): Scalar {
  if (scalar.kind === kind) return scalar
  if (scalar.kind === 'int') {
    if (kind === 'float' || kind === 'f32' || kind === 'f16')
      return float(kind, Number(scalar.value))
    const made = kind === 'i32' || kind === 'u32' ? integer(kind, scalar.value) : undefined
    if (made?.value === scalar.value) return made
  }
  if (scalar.kind === 'float' && (kind === 'f32' || kind === 'f16'))
    return float(kind, scalar.value, scalar.slack)
  return uncomputed(`${describe(scalar)} does not convert to ${kind}`)
}

/** Converts explicitly, as in `u32(x)`: https://www.w3.org/TR/WGSL/#value-constructor-builtin-function */
export function convert(scalar: Scalar, kind: ScalarKind): Scalar {
  if (scalar.kind === kind) return scalar
  if (kind === 'bool')
    return bool(isFloat(scalar) ? settled(scalar, (value) => value !== 0) : Boolean(scalar.value))
  if (kind === 'float' || kind === 'f32' || kind === 'f16')
    return float(kind, Number(scalar.value), isFloat(scalar) ? scalar.slack : 0)
  if (isFloat(scalar)) {
    const whole = BigInt(settled(scalar, Math.trunc))
    const made = integer(kind, whole)
    return made.value === whole
      ? made
      : uncomputed(`${describe(scalar)} is out of range of ${kind}`)
  }
  if (scalar.kind === 'int') return become(scalar, kind)
  return integer(kind, BigInt(scalar.value))
}

/** Finds the type in which an operation computes. @throws {Uncomputed} when there is none */
export function commonKind(kinds: readonly ScalarKind[]): ScalarKind {
  const concrete = new Set(kinds.filter((kind) => kind !== 'int' && kind !== 'float'))
  const [found] = concrete
  if (concrete.size > 1) uncomputed(`it mixes ${[...concrete].join(' and ')}`)
  return found ?? (kinds.includes('float') ? 'float' : 'int')
}

export function describe(value: Value): string {
  return isScalar(value) ? String(value.value) : `a ${value.kind}`
}
