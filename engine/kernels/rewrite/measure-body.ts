/** Walks one function: sums the weights of its statements and finds its loops and calls. */
import { LIMITS } from '#shared/base/limits.ts'
import type {
  Call,
  Declaration,
  Expression,
  FunctionDeclaration,
  Loop,
  Statement,
} from '../parse/syntax.ts'
import {
  declaredAs,
  evaluate,
  typeOf as constantTypeOf,
  type ConstantScope,
} from '../constant/evaluate.ts'
import type { Uncomputed } from '../constant/values.ts'
import { uncomputed, type Value } from '../constant/values.ts'
import type { FunctionWeight, KernelWeights, LoopWeight } from './function-weight.ts'
import { computed, given, type ModuleNames } from './module-names.ts'
import { refuse } from '../parse/refuse.ts'
import { memberOf, SCALAR, typeNamed, vectorOf, type ValueType } from './types.ts'
import {
  ACCESS_COMPILE_WEIGHT,
  ACCESS_WEIGHT,
  BRANCH_WEIGHT,
  builtinWeight,
  CLAUSES_WEIGHT,
  isBarrier,
  LONG_VALUE_WEIGHT,
  LOOP_COMPILE_WEIGHT,
  LOOP_ENTRY_WEIGHT,
  LOOP_WEIGHT,
  NESTED_BRANCH_WEIGHT,
  operatorWeight,
  SHORT_WORDS,
  TURNOFF_WEIGHT,
} from './weights.ts'

/** The type of an expression, and whether it is memory that has not been read yet. */
interface Typed {
  readonly type: ValueType
  readonly isMemory: boolean
  /** The value of a constant, or why it has none. Undefined for everything else. */
  readonly constant?: Value | Uncomputed | undefined
}

interface Walk {
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

export function measureBody(
  declaration: FunctionDeclaration,
  names: ModuleNames,
  weights: KernelWeights,
): FunctionWeight {
  const walk = createWalk(names, weights)
  for (const { name, type } of declaration.parameters) {
    const found = typeIn(walk, type) ?? SCALAR
    addValue(walk, boundedWords(walk, found, type))
    walk.scopes.at(-1)?.set(name, { type: found, isMemory: false })
  }
  for (const statement of declaration.body.statements) visitStatement(walk, statement)
  const { region, expanded, loops, calls, uses, hasBarrier } = walk
  return { declaration, once: region.weight, expanded, loops, calls, uses, hasBarrier }
}

/** The type of a module-scope value without a written type. */
export function inferType(
  value: Expression,
  names: ModuleNames,
  weights: KernelWeights,
): ValueType {
  return readValue(createWalk(names, weights), value)
}

/** A named type; its sizes may use constants of the function. */
function typeIn(walk: Walk, expression: Expression): ValueType | undefined {
  const size = (written: Expression) => walk.names.sizeIn(scopeOf(walk), written)
  return typeNamed(expression, { named: walk.names.named, size })
}

/** Constants of the function hide those of the module. */
function scopeOf(walk: Walk): ConstantScope {
  const { scope } = walk.names
  const local = (name: string) => walk.scopes.findLast((each) => each.has(name))?.get(name)
  return {
    isDeclared: (name) => local(name) !== undefined || scope.isDeclared(name),
    declaredType: (name) => (local(name) === undefined ? scope.declaredType(name) : undefined),
    valueOf(name) {
      const found = local(name)
      if (found === undefined) return scope.valueOf(name)
      return found.constant === undefined
        ? uncomputed(`${name} is no constant`)
        : given(found.constant)
    },
  }
}

function createWalk(names: ModuleNames, weights: KernelWeights): Walk {
  const found = { scopes: [new Map<string, Typed>()], loops: [], calls: [], hasBarrier: false }
  return {
    names,
    weights,
    ...found,
    uses: new Set(),
    region: { weight: 0 },
    expanded: 0,
    loopDepth: 0,
    branchDepth: 0,
  }
}

function add(walk: Walk, weight: number): void {
  walk.region.weight += weight
  walk.expanded += weight
}

/** Memory is slow to access, but quick to compile. */
function addAccess(walk: Walk): void {
  walk.region.weight += ACCESS_WEIGHT
  walk.expanded += ACCESS_COMPILE_WEIGHT
}

/** A value that is read, made or stored whole. Compilers process long ones word by word, in more than linear time. */
function addValue(walk: Walk, words: number): void {
  add(walk, words)
  if (words > SHORT_WORDS) walk.expanded += LONG_VALUE_WEIGHT * words
}

/** @throws {AppError} too_large for a value over the bound */
function boundedWords(walk: Walk, { words }: ValueType, at: { readonly start: number }): number {
  if (words <= LIMITS.wgslValueWords) return words
  const what = Number.isFinite(words)
    ? `a value has ${words} words`
    : 'an array without a size is used as a value'
  const detail = `${what}, at most ${LIMITS.wgslValueWords} are taken`
  throw refuse('too_large', walk.names.placeOf(at), detail)
}

/** Reads all words of a value. */
function readValue(walk: Walk, expression: Expression): ValueType {
  const { type, isMemory } = visit(walk, expression)
  if (isMemory) addValue(walk, boundedWords(walk, type, expression))
  return type
}

function visit(walk: Walk, expression: Expression): Typed {
  add(walk, 1)
  if (expression.kind === 'literal') return { type: SCALAR, isMemory: false }
  if (expression.kind === 'name') return visitName(walk, expression)
  if (expression.kind === 'unary') return visitUnary(walk, expression.operator, expression.operand)
  if (expression.kind === 'call') return { type: visitCall(walk, expression), isMemory: false }
  if (expression.kind === 'binary') {
    const left = readValue(walk, expression.left)
    const right = readValue(walk, expression.right)
    const type = left.words >= right.words ? left : right
    add(walk, operatorWeight(expression.operator, type.words))
    if (/^(?:&&|\|\|)$/.test(expression.operator)) walk.expanded += BRANCH_WEIGHT
    return { type, isMemory: false }
  }
  const base = throughPointer(visit(walk, expression.base))
  if (expression.kind === 'member')
    return { type: memberOf(base.type, expression.member), isMemory: base.isMemory }
  readValue(walk, expression.index)
  // Reading one element of a value outside memory copies the whole value.
  addAccess(walk)
  if (!base.isMemory) addValue(walk, boundedWords(walk, base.type, expression))
  return { type: base.type.element ?? SCALAR, isMemory: base.isMemory }
}

function visitName(walk: Walk, expression: Expression & { kind: 'name' }): Typed {
  const { name } = expression
  const local = walk.scopes.findLast((scope) => scope.has(name))?.get(name)
  if (local !== undefined) return local
  walk.uses.add(name)
  const type = walk.names.valueType(name, walk.weights.typeOf) ?? SCALAR
  const isMemory = walk.names.values.get(name)?.keyword === 'var'
  if (!isMemory) addValue(walk, boundedWords(walk, type, expression))
  return { type, isMemory }
}

function visitUnary(walk: Walk, operator: string, operand: Expression): Typed {
  if (operator === '&') {
    const { type } = visit(walk, operand)
    return { type: { words: 1, target: type }, isMemory: false }
  }
  const type = readValue(walk, operand)
  if (operator === '*') return { type: type.target ?? SCALAR, isMemory: true }
  add(walk, type.words)
  return { type, isMemory: false }
}

function visitCall(walk: Walk, call: Call): ValueType {
  const { callee } = call
  const args = call.args.map((arg) => readValue(walk, arg))
  const called = walk.weights.of(callee.name)
  if (called !== undefined) {
    walk.calls.push(call)
    walk.hasBarrier ||= called.hasBarrier
    walk.region.weight += called.once
    walk.expanded += called.expanded
    const { returnType } = called.declaration
    return (returnType === undefined ? undefined : typeIn(walk, returnType)) ?? SCALAR
  }
  const made = madeArray(callee, args) ?? typeIn(walk, callee)
  if (made !== undefined) {
    addValue(walk, boundedWords(walk, made, call))
    return made
  }
  const largest = args.reduce((most, type) => (type.words > most.words ? type : most), SCALAR)
  walk.hasBarrier ||= isBarrier(callee.name)
  add(walk, builtinWeight(callee.name, boundedWords(walk, largest, call)))
  if (callee.name === 'workgroupUniformLoad') {
    const target = args[0]?.target ?? SCALAR
    addValue(walk, boundedWords(walk, target, call))
    return target
  }
  if (callee.name === 'bitcast') return typeIn(walk, callee.args[0] ?? call) ?? largest
  return callee.name.startsWith('texture') ? vectorOf(4) : largest
}

function visitStatement(walk: Walk, statement: Statement): void {
  add(walk, 1)
  if (statement.kind === 'declaration') declare(walk, statement)
  else if (statement.kind === 'block') visitBlock(walk, statement.statements)
  else if (statement.kind === 'if') {
    walk.region.weight += TURNOFF_WEIGHT
    walk.expanded += BRANCH_WEIGHT
    readValue(walk, statement.condition)
    walk.branchDepth += 1
    if (walk.loopDepth > 0) walk.expanded += NESTED_BRANCH_WEIGHT * walk.branchDepth
    visitStatement(walk, statement.body)
    if (statement.otherwise !== undefined) visitStatement(walk, statement.otherwise)
    walk.branchDepth -= 1
  } else if (statement.kind === 'switch') {
    readValue(walk, statement.selector)
    walk.region.weight += TURNOFF_WEIGHT * statement.clauses.length
    walk.expanded += CLAUSES_WEIGHT * statement.clauses.length ** 2
    for (const { selectors, body } of statement.clauses) {
      for (const selector of selectors) readValue(walk, selector)
      visitStatement(walk, body)
    }
  } else if (statement.kind === 'loop') visitLoop(walk, statement)
  else if (statement.kind === 'return') {
    if (statement.value !== undefined) readValue(walk, statement.value)
  } else if (statement.kind === 'break-if') readValue(walk, statement.condition)
  else if (statement.kind === 'call') visitCall(walk, statement.call)
  else if (statement.kind === 'assign') {
    const target = statement.target === undefined ? undefined : visit(walk, statement.target)
    const given = statement.value === undefined ? SCALAR : readValue(walk, statement.value)
    const words = boundedWords(walk, target?.type ?? given, statement)
    add(walk, words)
    const [operator = '='] = statement.operator
    if (operator === '=') return
    add(walk, words + operatorWeight(operator, words))
    // The element is read and written, and its address is computed for each.
    if (statement.target?.kind === 'index') addAccess(walk)
  }
}

function visitBlock(walk: Walk, statements: readonly Statement[], after?: Statement): void {
  walk.scopes.push(new Map())
  for (const statement of statements) visitStatement(walk, statement)
  // The continuing block sees what the body of its `loop` declares.
  if (after !== undefined) visitStatement(walk, after)
  walk.scopes.pop()
}

function visitLoop(walk: Walk, loop: Loop): void {
  walk.scopes.push(new Map())
  if (loop.init !== undefined) visitStatement(walk, loop.init)
  add(walk, LOOP_ENTRY_WEIGHT)
  const outer = walk.region
  const turn = { weight: 0 }
  walk.region = turn
  walk.loopDepth += 1
  walk.expanded += LOOP_COMPILE_WEIGHT * (4 + walk.loopDepth)
  const at = walk.loops.push({ loop, weight: 0 }) - 1
  add(walk, LOOP_WEIGHT)
  if (loop.condition !== undefined) readValue(walk, loop.condition)
  if (loop.update !== undefined) visitStatement(walk, loop.update)
  visitBlock(walk, loop.body.statements, loop.continuing)
  walk.loops[at] = { loop, weight: turn.weight }
  walk.region = outer
  walk.loopDepth -= 1
  walk.scopes.pop()
}

function declare(walk: Walk, { keyword, name, type, value, start }: Declaration): void {
  const given = value === undefined ? undefined : readValue(walk, value)
  const written = type === undefined ? undefined : typeIn(walk, type)
  const found = written ?? given ?? SCALAR
  addValue(walk, boundedWords(walk, found, { start }))
  const scope = scopeOf(walk)
  const constant =
    keyword === 'const' && value !== undefined
      ? computed(() => {
          const written = type === undefined ? undefined : constantTypeOf(type, scope)
          const made = evaluate(value, scope)
          return written === undefined ? made : declaredAs(made, written)
        })
      : undefined
  walk.scopes.at(-1)?.set(name, { type: found, isMemory: keyword === 'var', constant })
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
