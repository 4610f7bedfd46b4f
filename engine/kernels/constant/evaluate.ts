/** Evaluates the constant expressions that size arrays and workgroups. */
import type { Call, Expression } from '../parse/syntax.ts'
import { bitcast, callBuiltin } from './builtins.ts'
import { parseLiteral } from './literal.ts'
import { alike, binary, unary } from './operators.ts'
import {
  become,
  bool,
  commonKind,
  convert,
  isInteger,
  isScalar,
  toScalar,
  uncomputed,
  type Scalar,
  type ScalarKind,
  type Value,
} from './values.ts'

/** 32-bit words of one value, and of all private variables and constants together. */
export const WGSL_VALUE_WORDS = 1_024

/** The type that a constructor makes. Parts that the source leaves out are inferred from the arguments. */
export type ConstantType =
  | { readonly form: 'scalar'; readonly kind: ScalarKind }
  | { readonly form: 'vector'; readonly size: number; readonly kind: ScalarKind | undefined }
  | {
      readonly form: 'matrix'
      readonly columns: number
      readonly rows: number
      readonly kind: ScalarKind | undefined
    }
  | {
      readonly form: 'array'
      readonly element: ConstantType | undefined
      readonly count: number | undefined
      /** Scalars in the whole value. */
      readonly parts: number
    }
  | {
      readonly form: 'struct'
      readonly members: readonly (readonly [string, ConstantType])[]
      readonly parts: number
    }

export interface ConstantScope {
  /** @throws {Uncomputed} when the name is not a constant */
  readonly valueOf: (name: string) => Value
  /** A struct or alias of the module. @throws {Uncomputed} for one that no constant can have */
  readonly declaredType: (name: string) => ConstantType | undefined
  readonly isDeclared: (name: string) => boolean
}

/** @throws {Uncomputed} with the reason */
export function evaluate(expression: Expression, scope: ConstantScope): Value {
  switch (expression.kind) {
    case 'literal':
      return parseLiteral(expression.text)
    case 'name':
      return scope.valueOf(expression.name)
    case 'unary':
      return unary(expression.operator, evaluate(expression.operand, scope))
    case 'binary':
      return evaluateBinary(expression, scope)
    case 'member':
      return memberOf(evaluate(expression.base, scope), expression.member)
    case 'index':
      return elementOf(evaluate(expression.base, scope), evaluate(expression.index, scope))
    case 'call':
      return evaluateCall(expression, scope)
    default:
      return uncomputed('it is not an expression')
  }
}

/** Evaluates a declaration, in its written type if it has one. @throws {Uncomputed} */
export function evaluateAs(
  { type, value }: { readonly type: Expression | undefined; readonly value: Expression },
  scope: ConstantScope,
): Value {
  const written = type === undefined ? undefined : typeOf(type, scope)
  const found = evaluate(value, scope)
  return written === undefined ? found : declaredAs(found, written)
}

/** Converts a value to its declared type. @throws {Uncomputed} when it does not fit */
function declaredAs(value: Value, type: ConstantType): Value {
  if (type.form === 'scalar') return become(toScalar(value), type.kind)
  if (isScalar(value)) return uncomputed('its value does not match its type')
  const items = value.items.map((item, i) => {
    const wanted = innerType(type, i)
    return wanted === undefined ? item : declaredAs(item, wanted)
  })
  return { ...value, items }
}

function evaluateBinary(
  { operator, left, right }: Expression & { kind: 'binary' },
  scope: ConstantScope,
): Value {
  const first = evaluate(left, scope)
  // Short-circuit: https://www.w3.org/TR/WGSL/#logical-expr
  if (first.kind === 'bool' && operator === '&&' && !first.value) return bool(false)
  if (first.kind === 'bool' && operator === '||' && first.value) return bool(true)
  return binary(operator, first, evaluate(right, scope))
}

const SWIZZLES = ['xyzw', 'rgba']

function memberOf(base: Value, member: string): Value {
  if (isScalar(base)) return uncomputed(`a number has no .${member}`)
  const named = base.names?.indexOf(member) ?? -1
  const found = base.items[named]
  if (found !== undefined) return found
  const letters = SWIZZLES.find((all) => Array.from(member).every((letter) => all.includes(letter)))
  if (base.kind !== 'vector' || letters === undefined || member.length > 4)
    return uncomputed(`a ${base.kind} has no .${member}`)
  const items = Array.from(member).map(
    (letter) => base.items[letters.indexOf(letter)] ?? uncomputed(`there is no .${letter}`),
  )
  const [only, ...rest] = items
  return only !== undefined && rest.length === 0 ? only : { kind: 'vector', items }
}

function elementOf(base: Value, index: Value): Value {
  if (isScalar(base) || !isInteger(index)) return uncomputed('it cannot be indexed like this')
  return base.items[Number(index.value)] ?? uncomputed(`it has no element ${index.value}`)
}

function evaluateCall({ callee, args }: Call, scope: ConstantScope): Value {
  const values = () => args.map((arg) => evaluate(arg, scope))
  const type = typeOf(callee, scope)
  if (type !== undefined) return construct(type, values())
  if (scope.isDeclared(callee.name)) return uncomputed(`${callee.name}() is not a constant`)
  if (callee.name !== 'bitcast') return callBuiltin(callee.name, values())
  const [to] = callee.args
  const target = to === undefined ? undefined : typeOf(to, scope)
  const kind = target?.form === 'scalar' || target?.form === 'vector' ? target.kind : undefined
  const [value] = values()
  if (kind === undefined || value === undefined)
    return uncomputed('bitcast lacks its type or its value')
  return bitcast(value, kind)
}

const SCALARS: ReadonlyMap<string, ScalarKind> = new Map(
  (['bool', 'i32', 'u32', 'f32', 'f16'] as const).map((kind) => [kind, kind]),
)
const SUFFIXES: Readonly<Record<string, ScalarKind>> = { i: 'i32', u: 'u32', f: 'f32', h: 'f16' }
const VECTOR = /^vec([234])([iufh]?)$/
const MATRIX = /^mat([234])x([234])([fh]?)$/

/** Finds the type that a name with its template list denotes, or undefined. */
export function typeOf(expression: Expression, scope: ConstantScope): ConstantType | undefined {
  if (expression.kind !== 'name') return undefined
  const { name, args } = expression
  if (scope.isDeclared(name)) return scope.declaredType(name)
  const kind = SCALARS.get(name)
  if (kind !== undefined) return { form: 'scalar', kind }
  const [first, second] = args
  const kindOf = (suffix: string | undefined): ScalarKind | undefined => {
    const written = first === undefined ? undefined : typeOf(first, scope)
    return SUFFIXES[suffix ?? ''] ?? (written?.form === 'scalar' ? written.kind : undefined)
  }
  const vector = VECTOR.exec(name)
  if (vector !== null) return { form: 'vector', size: Number(vector[1]), kind: kindOf(vector[2]) }
  const matrix = MATRIX.exec(name)
  if (matrix !== null) {
    const [, columns, rows, suffix] = matrix
    return { form: 'matrix', columns: Number(columns), rows: Number(rows), kind: kindOf(suffix) }
  }
  if (name !== 'array') return undefined
  const element = first === undefined ? undefined : typeOf(first, scope)
  const size = second === undefined ? undefined : toScalar(evaluate(second, scope))
  const count = size !== undefined && isInteger(size) ? Number(size.value) : undefined
  const parts = bounded((element === undefined ? 1 : partsOf(element)) * (count ?? 1))
  return { form: 'array', element, count, parts }
}

/** @throws {Uncomputed} when a value would have too many parts */
export function structOf(
  members: readonly (readonly [string, ConstantType])[],
): ConstantType & { form: 'struct' } {
  const parts = bounded(members.reduce((total, [, type]) => total + partsOf(type), 0))
  return { form: 'struct', members, parts }
}

function partsOf(type: ConstantType): number {
  if (type.form === 'scalar') return 1
  if (type.form === 'vector') return type.size
  return type.form === 'matrix' ? type.columns * type.rows : type.parts
}

function bounded(parts: number): number {
  return parts <= WGSL_VALUE_WORDS ? parts : uncomputed(`a value has ${parts} parts`)
}

function construct(type: ConstantType, args: readonly Value[]): Value {
  const [first] = args
  if (type.form === 'scalar')
    return first === undefined ? zero(type) : convert(toScalar(first), type.kind)
  if (first === undefined) return zero(type)
  if (type.form === 'vector') return vectorFrom(type, args)
  if (type.form === 'matrix') return matrixFrom(type, args)
  if (type.form === 'struct') {
    const names = type.members.map(([name]) => name)
    return declaredAs({ kind: 'struct', names, items: args }, type)
  }
  const isLike = type.element === undefined && args.every(isScalar)
  return declaredAs({ kind: 'array', items: isLike ? alike(args) : args }, type)
}

function vectorFrom(
  { size, kind }: ConstantType & { form: 'vector' },
  args: readonly Value[],
): Value {
  const scalars = args.flatMap((arg) => (isScalar(arg) ? [arg] : arg.items.map(toScalar)))
  const [only] = scalars
  const filled = scalars.length === 1 && only !== undefined ? repeat<Scalar>(only, size) : scalars
  if (filled.length !== size)
    return uncomputed(`a vector of ${size} has ${filled.length} components`)
  // A single vector is converted component by component; components alone are only promoted.
  const wanted = kind ?? commonKind(filled.map((scalar) => scalar.kind))
  const cast = args.length === 1 && kind !== undefined ? convert : become
  return { kind: 'vector', items: filled.map((scalar) => cast(scalar, wanted)) }
}

function matrixFrom(
  { columns, rows, kind }: ConstantType & { form: 'matrix' },
  args: readonly Value[],
): Value {
  const [first] = args
  if (first?.kind === 'matrix')
    return { kind: 'matrix', items: first.items.map((column) => castTo(column, kind)) }
  const scalars = args.flatMap((arg) => (isScalar(arg) ? [arg] : arg.items.map(toScalar)))
  if (scalars.length !== columns * rows)
    return uncomputed('a matrix has too few or too many components')
  // Matrices hold floats, even when built from integers.
  const common = commonKind(scalars.map((scalar) => scalar.kind))
  const wanted = kind ?? (common === 'int' ? 'float' : common)
  const items = Array.from({ length: columns }, (_, column) => ({
    kind: 'vector' as const,
    items: scalars.slice(column * rows, (column + 1) * rows).map((value) => become(value, wanted)),
  }))
  return { kind: 'matrix', items }
}

function castTo(column: Value, kind: ScalarKind | undefined): Value {
  if (kind === undefined || isScalar(column)) return column
  return { ...column, items: column.items.map((item) => convert(toScalar(item), kind)) }
}

function innerType(type: ConstantType, index: number): ConstantType | undefined {
  if (type.form === 'struct') return type.members[index]?.[1]
  if (type.form === 'array') return type.element
  if (type.form === 'matrix') return { form: 'vector', size: type.rows, kind: type.kind }
  return type.kind === undefined ? undefined : { form: 'scalar', kind: type.kind }
}

function zero(type: ConstantType): Value {
  if (type.form === 'scalar')
    return type.kind === 'bool' ? bool(false) : become({ kind: 'int', value: 0n }, type.kind)
  if (type.form === 'struct') {
    const [names, items] = [
      type.members.map(([name]) => name),
      type.members.map(([, of]) => zero(of)),
    ]
    return { kind: 'struct', names, items }
  }
  const count =
    type.form === 'vector' ? type.size : type.form === 'matrix' ? type.columns : (type.count ?? 0)
  const kind = type.form === 'matrix' ? 'f32' : 'i32'
  const item = zero(innerType(type, 0) ?? { form: 'scalar', kind })
  return { kind: type.form, items: repeat(item, count) }
}

function repeat<T>(item: T, count: number): T[] {
  return Array.from({ length: count }, () => item)
}
