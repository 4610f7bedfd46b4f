/** What the names of a module stand for: its functions, types, variables and constants, each resolved once. */
import { AppError } from '#shared/errors.ts'
import { LIMITS } from '#shared/limits.ts'
import type { Declaration, Expression, FunctionDeclaration, KernelModule } from '../parse/syntax.ts'
import { evaluateConstant } from './constants.ts'
import { SCALAR, typeNamed, type TypeNames, type ValueType } from './types.ts'

export interface ModuleNames extends TypeNames {
  readonly functions: ReadonlyMap<string, FunctionDeclaration>
  readonly values: ReadonlyMap<string, Declaration>
  typeOf(expression: Expression): ValueType | undefined
  /** The value of a module-scope constant or override, when it is a number. */
  readonly constantNamed: (name: string) => number | undefined
  /** Of a module-scope variable or constant; `infer` is asked where no type is written. */
  valueType(name: string, infer: (value: Expression) => ValueType): ValueType | undefined
}

export function createModuleNames({ declarations }: KernelModule): ModuleNames {
  const functions = new Map<string, FunctionDeclaration>()
  const values = new Map<string, Declaration>()
  const types = new Map<string, () => ValueType>()
  for (const declaration of declarations) {
    if (declaration.kind === 'function') functions.set(declaration.name, declaration)
    if (declaration.kind === 'declaration') values.set(declaration.name, declaration)
    if (declaration.kind === 'alias')
      types.set(declaration.name, () => names.typeOf(declaration.type) ?? SCALAR)
    if (declaration.kind === 'struct')
      types.set(declaration.name, () => {
        const members = new Map(
          declaration.members.map(({ name, type }) => [name, names.typeOf(type) ?? SCALAR]),
        )
        const words = [...members.values()].reduce((sum, type) => sum + type.words, 0)
        return { words, members }
      })
  }
  const named = once(types)
  const constants = once(
    new Map(
      [...values].flatMap(([name, { keyword, value }]) =>
        keyword === 'var' || value === undefined ? [] : [[name, () => names.constant(value)]],
      ),
    ),
  )
  const inferred = new Map<string, ValueType>()
  const names: ModuleNames = {
    functions,
    values,
    named,
    constantNamed: constants,
    constant: (expression) => evaluateConstant(expression, constants),
    typeOf: (expression) => typeNamed(expression, names),
    valueType(name, infer) {
      const declaration = values.get(name)
      if (declaration === undefined) return undefined
      const known = inferred.get(name)
      if (known !== undefined) return known
      // A declaration that needs itself finds a scalar; the compiler refuses it.
      inferred.set(name, SCALAR)
      const { type, value } = declaration
      const found =
        (type === undefined ? undefined : names.typeOf(type)) ??
        (value === undefined ? SCALAR : infer(value))
      inferred.set(name, found)
      return found
    },
  }
  return names
}

/** Each name computed once, a name that needs itself undefined, and no chain of names without an end. */
function once<T>(makers: ReadonlyMap<string, () => T>): (name: string) => T | undefined {
  const made = new Map<string, T | undefined>()
  let depth = 0
  return (name) => {
    const make = makers.get(name)
    if (make === undefined || made.has(name)) return made.get(name)
    made.set(name, undefined)
    depth += 1
    if (depth > LIMITS.wgslDepth)
      throw new AppError(
        'too_large',
        `/kernel/wgsl: ${name} is built of more than ${LIMITS.wgslDepth} layers of names.`,
        { meta: { errors: [{ pointer: '/kernel/wgsl', detail: `${name} has too many layers` }] } },
      )
    const value = make()
    depth -= 1
    made.set(name, value)
    return value
  }
}
