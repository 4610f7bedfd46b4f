/** Sizes of WGSL types in 32-bit words, as far as bounds need them: https://www.w3.org/TR/WGSL/#types */
import type { Expression } from '../parse/syntax.ts'

/** An unknown type counts as a scalar, since the compiler refuses it. */
export interface ValueType {
  /** Size of one value; Infinity for a runtime-sized array. */
  readonly words: number
  readonly element?: ValueType
  readonly members?: ReadonlyMap<string, ValueType>
  readonly target?: ValueType
}

export const SCALAR: ValueType = { words: 1 }

export function vectorOf(count: number): ValueType {
  return { words: count, element: SCALAR }
}

export function arrayOf(element: ValueType, count: number): ValueType {
  return { words: element.words * count, element }
}

const VECTOR = /^vec([234])[iufh]?$/
const MATRIX = /^mat([234])x([234])[fh]?$/

export interface TypeNames {
  readonly named: (name: string) => ValueType | undefined
  /** Elements of an array with this size. @throws {AppError} invalid_request when it cannot be computed */
  readonly size: (expression: Expression) => number
}

export function typeNamed(expression: Expression, names: TypeNames): ValueType | undefined {
  if (expression.kind !== 'name') return undefined
  const { name, args } = expression
  const declared = names.named(name)
  if (declared !== undefined) return declared
  const [first, second] = args
  const vector = VECTOR.exec(name)
  if (vector !== null) return vectorOf(Number(vector[1]))
  const matrix = MATRIX.exec(name)
  if (matrix !== null) return arrayOf(vectorOf(Number(matrix[2])), Number(matrix[1]))
  if (name === 'array' && first !== undefined) {
    const element = typeNamed(first, names) ?? SCALAR
    if (second === undefined) return { words: Infinity, element }
    return arrayOf(element, names.size(second))
  }
  if (name === 'ptr' && second !== undefined)
    return { words: 1, target: typeNamed(second, names) ?? SCALAR }
  return /^(?:bool|[iu]32|f16|f32|atomic)$/.test(name) ? SCALAR : undefined
}

/** Finds the type of a struct's member or of a vector's components. */
export function memberOf(type: ValueType, member: string): ValueType {
  const found = type.members?.get(member)
  if (found !== undefined) return found
  return member.length <= 4 && /^[xyzwrgba]+$/.test(member) ? vectorOf(member.length) : SCALAR
}
