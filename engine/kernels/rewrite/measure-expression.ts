/** Walks expressions: sums their weights, and finds their types, calls and module variables. */
import { type ConstantScope, WGSL_VALUE_WORDS } from '../constant/evaluate.ts'
import { uncomputed, type Uncomputed, type Value } from '../constant/values.ts'
import { refuse } from '../parse/refuse.ts'
import type { Call, Expression, Span } from '../parse/syntax.ts'
import type { KernelWeights, LoopWeight } from './function-weight.ts'
import { given, type ModuleNames } from './module-names.ts'
import { memberOf, SCALAR, typeNamed, vectorOf, type ValueType } from './types.ts'
import {
  ACCESS_COMPILE_WEIGHT,
  ACCESS_WEIGHT,
  BRANCH_WEIGHT,
  builtinWeight,
  isBarrier,
  LONG_VALUE_WEIGHT,
  operatorWeight,
  SHORT_WORDS,
} from './weights.ts'

/** The type of an expression, and whether it is memory that has not been read yet. */
interface Typed {
  readonly type: ValueType
  readonly isMemory: boolean
  /** The value of a constant, or why it has none. Undefined for everything else. */
  readonly constant?: Value | Uncomputed | undefined
}

export interface Walk {
  readonly names: ModuleNames
  readonly weights: KernelWeights
  readonly scopes: Map<string, Typed>[]
  readonly loops: LoopWeight[]
  readonly calls: Call[]
  readonly uses: Set<string>
  /** The current loop's turn, or the function outside its loops. */
  region: { weight: number }
  expanded: number
  hasBarrier: boolean
  loopDepth: number
  branchDepth: number
}

/** Infers the type of a module-scope value without a written type. */
export function inferType(
  value: Expression,
  names: ModuleNames,
  weights: KernelWeights,
): ValueType {
  return readValue(createWalk(names, weights), value)
}

/** Resolves a named type; its sizes may use constants of the function. */
export function typeIn(walk: Walk, expression: Expression): ValueType | undefined {
  const size = (written: Expression) => walk.names.sizeIn(scopeOf(walk), written)
  return typeNamed(expression, { named: walk.names.named, size })
}

function localOf({ scopes }: Walk, name: string): Typed | undefined {
  return scopes.findLast((scope) => scope.has(name))?.get(name)
}

/** Constants of the function hide those of the module. */
export function scopeOf(walk: Walk): ConstantScope {
  const { scope } = walk.names
  const local = (name: string) => localOf(walk, name)
  return {
    isDeclared: (name) => local(name) !== undefined || scope.isDeclared(name),
    declaredType: (name) => (local(name) === undefined ? scope.declaredType(name) : undefined),
    valueOf(name) {
      const found = local(name)
      if (found === undefined) return scope.valueOf(name)
      return found.constant === undefined
        ? uncomputed(`${name} is not a constant`)
        : given(found.constant)
    },
  }
}

export function createWalk(names: ModuleNames, weights: KernelWeights): Walk {
  return {
    names,
    weights,
    scopes: [new Map()],
    loops: [],
    calls: [],
    uses: new Set(),
    region: { weight: 0 },
    expanded: 0,
    hasBarrier: false,
    loopDepth: 0,
    branchDepth: 0,
  }
}

/** @param compileWeight what the compiler pays, where it differs from running */
export function add(walk: Walk, weight: number, compileWeight = weight): void {
  walk.region.weight += weight
  walk.expanded += compileWeight
}

/**
 * A value that is read, made or stored whole. Compilers process long ones word by word, in more than linear time.
 * @throws {AppError} too_large for a value over the bound
 */
export function addValue(walk: Walk, type: ValueType, at: Pick<Span, 'start'>): ValueType {
  const words = boundedWords(walk, type, at)
  add(walk, words, words > SHORT_WORDS ? (1 + LONG_VALUE_WEIGHT) * words : words)
  return type
}

export function boundedWords(
  { names }: Walk,
  { words }: ValueType,
  at: Pick<Span, 'start'>,
): number {
  if (words <= WGSL_VALUE_WORDS) return words
  const what = Number.isFinite(words)
    ? `a value has ${words} words`
    : 'an array without a size is used as a value'
  const detail = `${what}, at most ${WGSL_VALUE_WORDS} are allowed`
  throw refuse('too_large', names.positionOf(at), detail)
}

export function readValue(walk: Walk, expression: Expression): ValueType {
  const { type, isMemory } = visit(walk, expression)
  return isMemory ? addValue(walk, type, expression) : type
}

export function visit(walk: Walk, expression: Expression): Typed {
  add(walk, 1)
  switch (expression.kind) {
    case 'literal':
      return { type: SCALAR, isMemory: false }
    case 'name':
      return visitName(walk, expression)
    case 'unary':
      return visitUnary(walk, expression)
    case 'binary':
      return visitBinary(walk, expression)
    case 'call':
      return { type: visitCall(walk, expression), isMemory: false }
    case 'member': {
      const { type, isMemory } = throughPointer(visit(walk, expression.base))
      return { type: memberOf(type, expression.member), isMemory }
    }
    case 'index': {
      const { type, isMemory } = throughPointer(visit(walk, expression.base))
      readValue(walk, expression.index)
      add(walk, ACCESS_WEIGHT, ACCESS_COMPILE_WEIGHT)
      // Reading one element of a value outside memory copies the whole value.
      if (!isMemory) addValue(walk, type, expression)
      return { type: type.element ?? SCALAR, isMemory }
    }
  }
}

function visitName(walk: Walk, expression: Expression & { kind: 'name' }): Typed {
  const { name } = expression
  const local = localOf(walk, name)
  if (local !== undefined) return local
  walk.uses.add(name)
  const type = walk.names.valueType(name, walk.weights.typeOf) ?? SCALAR
  const isMemory = walk.names.values.get(name)?.keyword === 'var'
  if (!isMemory) addValue(walk, type, expression)
  return { type, isMemory }
}

function visitUnary(walk: Walk, { operator, operand }: Expression & { kind: 'unary' }): Typed {
  if (operator === '&') {
    const { type } = visit(walk, operand)
    return { type: { words: 1, target: type }, isMemory: false }
  }
  const type = readValue(walk, operand)
  if (operator === '*') return { type: type.target ?? SCALAR, isMemory: true }
  add(walk, type.words)
  return { type, isMemory: false }
}

function visitBinary(walk: Walk, expression: Expression & { kind: 'binary' }): Typed {
  const { operator } = expression
  const left = readValue(walk, expression.left)
  const right = readValue(walk, expression.right)
  const type = left.words >= right.words ? left : right
  add(walk, operatorWeight(operator, type.words))
  if (operator === '&&' || operator === '||') add(walk, 0, BRANCH_WEIGHT)
  return { type, isMemory: false }
}

export function visitCall(walk: Walk, call: Call): ValueType {
  const { callee } = call
  const args = call.args.map((arg) => readValue(walk, arg))
  const called = walk.weights.of(callee.name)
  if (called !== undefined) {
    walk.calls.push(call)
    walk.hasBarrier ||= called.hasBarrier
    add(walk, called.once, called.expanded)
    const { returnType } = called.declaration
    return (returnType === undefined ? undefined : typeIn(walk, returnType)) ?? SCALAR
  }
  const made = madeArray(callee, args) ?? typeIn(walk, callee)
  if (made !== undefined) return addValue(walk, made, call)
  const largest = args.reduce((most, type) => (type.words > most.words ? type : most), SCALAR)
  walk.hasBarrier ||= isBarrier(callee.name)
  add(walk, builtinWeight(callee.name, boundedWords(walk, largest, call)))
  if (callee.name === 'workgroupUniformLoad') return addValue(walk, args[0]?.target ?? SCALAR, call)
  if (callee.name === 'bitcast') return typeIn(walk, callee.args[0] ?? call) ?? largest
  return callee.name.startsWith('texture') ? vectorOf(4) : largest
}

/** A pointer that is indexed or has a member taken stands for its target. */
function throughPointer(typed: Typed): Typed {
  const { target } = typed.type
  return target === undefined ? typed : { type: target, isMemory: true }
}

/** `array(a, b)`, whose type follows from its arguments. */
function madeArray(
  { name, args: written }: Call['callee'],
  args: readonly ValueType[],
): ValueType | undefined {
  if (name !== 'array' || written.length > 0) return undefined
  const [element = SCALAR] = args
  return { words: args.reduce((sum, { words }) => sum + words, 0), element }
}
