/** Resolves the names of a module: functions, types, variables and constants, each once. */
import {
  evaluate,
  evaluateAs,
  structOf,
  typeOf as constantTypeOf,
  type ConstantScope,
  type ConstantType,
} from '../constant/evaluate.ts'
import { describe, isInteger, Uncomputed, uncomputed } from '../constant/values.ts'
import type {
  AliasDeclaration,
  Declaration,
  Expression,
  FunctionDeclaration,
  KernelModule,
  Span,
  StructDeclaration,
} from '../parse/syntax.ts'
import { refuse, type SourcePosition } from '../parse/refuse.ts'
import { SCALAR, typeNamed, type TypeNames, type ValueType } from './types.ts'
import { WGSL_DEPTH } from '#engine/kernels/parse/cursor.ts'

export interface ModuleNames extends TypeNames {
  readonly functions: ReadonlyMap<string, FunctionDeclaration>
  readonly values: ReadonlyMap<string, Declaration>
  typeOf(expression: Expression): ValueType | undefined
  readonly scope: ConstantScope
  /** Does the same as {@link TypeNames.size}, in a scope that may add a function's constants. */
  sizeIn(scope: ConstantScope, expression: Expression, what?: string): number
  /** Gives the type of a module-scope variable or constant. `infer` is called where the source writes none. */
  valueType(name: string, infer: (value: Expression) => ValueType): ValueType | undefined
  positionOf(span: Pick<Span, 'start'>): SourcePosition
}

export function createModuleNames({ source, declarations }: KernelModule): ModuleNames {
  const functions = new Map<string, FunctionDeclaration>()
  const values = new Map<string, Declaration>()
  const types = new Map<string, AliasDeclaration | StructDeclaration>()
  for (const declaration of declarations) {
    if (declaration.kind === 'function') functions.set(declaration.name, declaration)
    else if (declaration.kind === 'declaration') values.set(declaration.name, declaration)
    else if (declaration.kind !== 'assert') types.set(declaration.name, declaration)
  }
  const positionOf = ({ start }: Pick<Span, 'start'>) => ({ source, start })
  const once = createOnce(positionOf)
  const named = once(types, (declaration) => wordsOf(declaration, names))
  const scope = createScope({ functions, values, types, once })
  const inferred = new Map<string, ValueType>()
  const names: ModuleNames = {
    functions,
    values,
    named,
    scope,
    positionOf,
    size: (expression) => names.sizeIn(scope, expression),
    sizeIn: (within, expression, what) => sizeOf(expression, within, positionOf(expression), what),
    typeOf: (expression) => typeNamed(expression, names),
    valueType(name, infer) {
      const declaration = values.get(name)
      if (declaration === undefined) return undefined
      const known = inferred.get(name)
      if (known !== undefined) return known
      // A declaration that depends on itself counts as a scalar; the compiler refuses it.
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

function wordsOf(
  declaration: AliasDeclaration | StructDeclaration,
  names: Pick<ModuleNames, 'typeOf'>,
): ValueType {
  if (declaration.kind === 'alias') return names.typeOf(declaration.type) ?? SCALAR
  const members = new Map(
    declaration.members.map(({ name, type }) => [name, names.typeOf(type) ?? SCALAR]),
  )
  const words = [...members.values()].reduce((sum, type) => sum + type.words, 0)
  return { words, members }
}

function sizeOf(
  expression: Expression,
  scope: ConstantScope,
  position: SourcePosition,
  what = 'the size of this array',
): number {
  const value = computed(() => evaluate(expression, scope))
  if (value instanceof Uncomputed)
    throw refuse('invalid_request', position, `${what} cannot be computed: ${value.message}`)
  if (!isInteger(value) || value.value < 1n)
    throw refuse(
      'invalid_request',
      position,
      `${what} is ${describe(value)}, not a whole number above 0`,
    )
  return Number(value.value)
}

interface Named {
  readonly functions: ReadonlyMap<string, FunctionDeclaration>
  readonly values: ReadonlyMap<string, Declaration>
  readonly types: ReadonlyMap<string, AliasDeclaration | StructDeclaration>
  readonly once: Once
}

function createScope({ functions, values, types, once }: Named): ConstantScope {
  const constants = once(values, ({ keyword, name, type, value }) =>
    computed(() => {
      if (keyword === 'var') return uncomputed(`${name} is not a constant`)
      if (value === undefined) return uncomputed(`override ${name} has no value`)
      return evaluateAs({ type, value }, scope)
    }),
  )
  const constantTypes = once(types, (declaration) =>
    computed(() => {
      const typeIn = (type: Expression) =>
        constantTypeOf(type, scope) ?? uncomputed(`${declaration.name} is not a type of constants`)
      if (declaration.kind === 'alias') return typeIn(declaration.type)
      return structOf(declaration.members.map(({ name, type }) => [name, typeIn(type)]))
    }),
  )
  const scope: ConstantScope = {
    isDeclared: (name) => functions.has(name) || values.has(name) || types.has(name),
    valueOf: (name) => given(constants(name) ?? new Uncomputed(`${name} is not a constant`)),
    declaredType: (name): ConstantType | undefined =>
      types.has(name)
        ? given(constantTypes(name) ?? new Uncomputed(`${name} is not a type`))
        : undefined,
  }
  return scope
}

export function computed<T>(compute: () => T): T | Uncomputed {
  try {
    return compute()
  } catch (error) {
    if (error instanceof Uncomputed) return error
    throw error
  }
}

/** @throws {Uncomputed} */
export function given<T>(value: T | Uncomputed): T {
  if (value instanceof Uncomputed) throw value
  return value
}

type Once = ReturnType<typeof createOnce>

/** Computes each name once. A name that depends on itself is undefined, and chains of names are bounded. */
function createOnce(positionOf: ModuleNames['positionOf']) {
  return <D extends Span, T>(
    declarations: ReadonlyMap<string, D>,
    make: (declaration: D) => T,
  ): ((name: string) => T | undefined) => {
    const made = new Map<string, T | undefined>()
    let depth = 0
    return (name) => {
      const declaration = declarations.get(name)
      if (declaration === undefined || made.has(name)) return made.get(name)
      made.set(name, undefined)
      depth += 1
      if (depth > WGSL_DEPTH)
        throw refuse(
          'too_large',
          positionOf(declaration),
          `${name} depends on more than ${WGSL_DEPTH} layers of names`,
        )
      const value = make(declaration)
      depth -= 1
      made.set(name, value)
      return value
    }
  }
}
