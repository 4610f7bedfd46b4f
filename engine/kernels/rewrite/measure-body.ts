/** Walks one function: adds up what its statements weigh, and finds its loops and calls. */
import { LIMITS } from '#shared/limits.ts'
import type {
  Call,
  Declaration,
  Expression,
  FunctionDeclaration,
  Loop,
  Statement,
} from '../parse/syntax.ts'
import {
  refuse,
  type FunctionWeight,
  type KernelWeights,
  type LoopWeight,
} from './measure-kernel.ts'
import type { ModuleNames } from './module-names.ts'
import { memberOf, SCALAR, vectorOf, type ValueType } from './types.ts'
import { ACCESS_WEIGHT, builtinWeight, isBarrier, LOOP_WEIGHT, operatorWeight } from './weights.ts'

/** An expression's type, and whether it is memory that has not been read yet. */
interface Typed {
  readonly type: ValueType
  readonly isMemory: boolean
}

type Scope = Map<string, Typed>

/** @param extra something to infer with the function's own means, after its body */
export function measureBody(
  declaration: FunctionDeclaration,
  names: ModuleNames,
  weights: KernelWeights,
  extra?: (infer: (value: Expression) => ValueType) => void,
): FunctionWeight {
  const scopes: Scope[] = []
  const loops: LoopWeight[] = []
  const calls: Call[] = []
  let region = { weight: 0 }
  let expanded = 0
  let hasBarrier = false

  const add = (weight: number) => {
    region.weight += weight
    expanded += weight
  }
  /** Reads a value, all words of it. @throws {AppError} too_large for a value over the bound */
  const value = (expression: Expression): ValueType => {
    const { type, isMemory } = visit(expression)
    if (isMemory) add(bounded(type, expression))
    return type
  }
  const bounded = ({ words }: ValueType, { start }: { readonly start: number }): number => {
    if (words <= LIMITS.wgslValueWords) return words
    const what = Number.isFinite(words) ? `${words} words` : 'a size that is not known'
    const detail = `offset ${start}: a value has ${what}, at most ${LIMITS.wgslValueWords} are taken`
    throw refuse('too_large', detail)
  }

  const visit = (expression: Expression): Typed => {
    add(1)
    if (expression.kind === 'literal') return { type: SCALAR, isMemory: false }
    if (expression.kind === 'name') return visitName(expression.name)
    if (expression.kind === 'unary') return visitUnary(expression.operator, expression.operand)
    if (expression.kind === 'binary') {
      const left = value(expression.left)
      const right = value(expression.right)
      const type = left.words >= right.words ? left : right
      add(operatorWeight(expression.operator, type.words))
      return { type, isMemory: false }
    }
    if (expression.kind === 'call') return { type: visitCall(expression), isMemory: false }
    const base = throughPointer(visit(expression.base))
    if (expression.kind === 'member')
      return { type: memberOf(base.type, expression.member), isMemory: base.isMemory }
    value(expression.index)
    // One element of a value that is not in memory is read from a copy of all of it.
    add(ACCESS_WEIGHT + (base.isMemory ? 0 : bounded(base.type, expression)))
    return { type: base.type.element ?? SCALAR, isMemory: base.isMemory }
  }

  const visitName = (name: string): Typed => {
    for (const scope of scopes.toReversed()) {
      const local = scope.get(name)
      if (local !== undefined) return local
    }
    const type = names.valueType(name, weights.typeOf)
    const isMemory = names.values.get(name)?.keyword === 'var'
    if (type !== undefined && !isMemory) add(bounded(type, declaration))
    return { type: type ?? SCALAR, isMemory }
  }

  const visitUnary = (operator: string, operand: Expression): Typed => {
    if (operator === '&') {
      const { type } = visit(operand)
      return { type: { words: 1, target: type }, isMemory: false }
    }
    const type = value(operand)
    if (operator === '*') return { type: type.target ?? SCALAR, isMemory: true }
    add(type.words)
    return { type, isMemory: false }
  }

  const visitCall = (call: Call): ValueType => {
    const args = call.args.map(value)
    const { callee } = call
    const called = weights.of(callee.name)
    if (called !== undefined) {
      calls.push(call)
      hasBarrier ||= called.hasBarrier
      region.weight += called.once
      expanded += called.expanded
      const { returnType } = called.declaration
      return returnType === undefined ? SCALAR : (names.typeOf(returnType) ?? SCALAR)
    }
    const largest = args.reduce((most, type) => (type.words > most.words ? type : most), SCALAR)
    const made = constructed(callee, args) ?? names.typeOf(callee)
    if (made !== undefined) {
      add(bounded(made, call))
      return made
    }
    hasBarrier ||= isBarrier(callee.name)
    add(builtinWeight(callee.name, bounded(largest, call)))
    if (callee.name === 'workgroupUniformLoad') {
      const target = args[0]?.target ?? SCALAR
      add(bounded(target, call))
      return target
    }
    if (callee.name === 'bitcast') return names.typeOf(callee.args[0] ?? call) ?? largest
    return callee.name.startsWith('texture') ? vectorOf(4) : largest
  }

  const declare = ({ keyword, name, type, value: initial, start }: Declaration) => {
    const given = initial === undefined ? undefined : value(initial)
    const found = (type === undefined ? undefined : names.typeOf(type)) ?? given ?? SCALAR
    add(bounded(found, { start }))
    scopes.at(-1)?.set(name, { type: found, isMemory: keyword === 'var' })
  }

  const scoped = (walk: () => void) => {
    scopes.push(new Map())
    walk()
    scopes.pop()
  }
  const all = (statements: readonly Statement[]) => {
    for (const statement of statements) walk(statement)
  }

  const walk = (statement: Statement): void => {
    add(1)
    if (statement.kind === 'declaration') declare(statement)
    else if (statement.kind === 'block') scoped(() => all(statement.statements))
    else if (statement.kind === 'if') {
      value(statement.condition)
      walk(statement.then)
      if (statement.otherwise !== undefined) walk(statement.otherwise)
    } else if (statement.kind === 'switch') {
      value(statement.selector)
      for (const { selectors, body } of statement.clauses) {
        for (const selector of selectors) value(selector)
        walk(body)
      }
    } else if (statement.kind === 'loop') scoped(() => walkLoop(statement))
    else if (statement.kind === 'return') {
      if (statement.value !== undefined) value(statement.value)
    } else if (statement.kind === 'break-if') value(statement.condition)
    else if (statement.kind === 'call') visitCall(statement.call)
    else if (statement.kind === 'assign') {
      const target = statement.target === undefined ? undefined : visit(statement.target)
      const given = statement.value === undefined ? SCALAR : value(statement.value)
      const { words } = target?.type ?? given
      add((statement.operator === '=' ? 1 : 2) * Math.min(words, LIMITS.wgslValueWords))
      if (statement.operator !== '=') add(operatorWeight(statement.operator[0] ?? '', words))
    }
  }

  const walkLoop = (loop: Loop) => {
    if (loop.init !== undefined) walk(loop.init)
    const outer = region
    const turn = { weight: 0 }
    region = turn
    const at = loops.length
    loops.push({ loop, weight: 0 })
    add(LOOP_WEIGHT)
    if (loop.condition !== undefined) value(loop.condition)
    if (loop.update !== undefined) walk(loop.update)
    // What the body of a `loop` declares, its continuing block sees.
    scoped(() => {
      all(loop.body.statements)
      if (loop.continuing !== undefined) walk(loop.continuing)
    })
    loops[at] = { loop, weight: turn.weight }
    region = outer
  }

  const parameters: Scope = new Map()
  for (const { name, type } of declaration.parameters) {
    const found = names.typeOf(type) ?? SCALAR
    add(bounded(found, type))
    parameters.set(name, { type: found, isMemory: false })
  }
  scopes.push(parameters)
  all(declaration.body.statements)
  extra?.(value)
  return { declaration, once: region.weight, expanded, loops, calls, hasBarrier }
}

/** A pointer that is indexed or whose member is named stands for what it points to. */
function throughPointer(typed: Typed): Typed {
  const { target } = typed.type
  return target === undefined ? typed : { type: target, isMemory: true }
}

/** `array(a, b)` and the like, whose types are told by their arguments alone. */
function constructed(
  { name, args: written }: Call['callee'],
  args: readonly ValueType[],
): ValueType | undefined {
  if (name !== 'array' || written.length > 0) return undefined
  const [element = SCALAR] = args
  return { words: args.reduce((sum, { words }) => sum + words, 0), element }
}
