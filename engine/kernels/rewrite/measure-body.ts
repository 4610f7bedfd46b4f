/** Walks one function: sums the weights of its statements and finds its loops and calls. */
import { evaluateAs } from '../constant/evaluate.ts'
import type { Declaration, FunctionDeclaration, Loop, Statement } from '../parse/syntax.ts'
import type { FunctionWeight, KernelWeights } from './function-weight.ts'
import {
  add,
  addValue,
  boundedWords,
  createWalk,
  readValue,
  scopeOf,
  typeIn,
  visit,
  visitCall,
  type Walk,
} from './measure-expression.ts'
import { computed, type ModuleNames } from './module-names.ts'
import { SCALAR } from './types.ts'
import {
  ACCESS_COMPILE_WEIGHT,
  ACCESS_WEIGHT,
  BRANCH_WEIGHT,
  CLAUSES_WEIGHT,
  LOOP_COMPILE_WEIGHT,
  LOOP_ENTRY_WEIGHT,
  LOOP_WEIGHT,
  NESTED_BRANCH_WEIGHT,
  operatorWeight,
  TURNOFF_WEIGHT,
} from './weights.ts'

export function measureBody(
  declaration: FunctionDeclaration,
  names: ModuleNames,
  weights: KernelWeights,
): FunctionWeight {
  const walk = createWalk(names, weights)
  for (const { name, type } of declaration.parameters) {
    const found = addValue(walk, typeIn(walk, type) ?? SCALAR, type)
    walk.scopes.at(-1)?.set(name, { type: found, isMemory: false })
  }
  for (const statement of declaration.body.statements) visitStatement(walk, statement)
  const { region, expanded, loops, calls, uses, hasBarrier } = walk
  return { declaration, once: region.weight, expanded, loops, calls, uses, hasBarrier }
}

function visitStatement(walk: Walk, statement: Statement): void {
  add(walk, 1)
  switch (statement.kind) {
    case 'declaration':
      return declare(walk, statement)
    case 'block':
      return visitBlock(walk, statement.statements)
    case 'if':
      return visitIf(walk, statement)
    case 'switch':
      return visitSwitch(walk, statement)
    case 'loop':
      return visitLoop(walk, statement)
    case 'return':
      if (statement.value !== undefined) readValue(walk, statement.value)
      return
    case 'break-if':
      return void readValue(walk, statement.condition)
    case 'call':
      return void visitCall(walk, statement.call)
    case 'assign':
      return visitAssignment(walk, statement)
  }
}

function visitIf(walk: Walk, { condition, body, otherwise }: Statement & { kind: 'if' }): void {
  add(walk, TURNOFF_WEIGHT, BRANCH_WEIGHT)
  readValue(walk, condition)
  walk.branchDepth += 1
  if (walk.loopDepth > 0) add(walk, 0, NESTED_BRANCH_WEIGHT * walk.branchDepth)
  visitStatement(walk, body)
  if (otherwise !== undefined) visitStatement(walk, otherwise)
  walk.branchDepth -= 1
}

function visitSwitch(walk: Walk, { selector, clauses }: Statement & { kind: 'switch' }): void {
  readValue(walk, selector)
  add(walk, TURNOFF_WEIGHT * clauses.length, CLAUSES_WEIGHT * clauses.length ** 2)
  for (const { selectors, body } of clauses) {
    for (const each of selectors) readValue(walk, each)
    visitStatement(walk, body)
  }
}

function visitAssignment(walk: Walk, statement: Statement & { kind: 'assign' }): void {
  const target = statement.target === undefined ? undefined : visit(walk, statement.target)
  const value = statement.value === undefined ? SCALAR : readValue(walk, statement.value)
  const words = boundedWords(walk, target?.type ?? value, statement)
  add(walk, words)
  const [operator = '='] = statement.operator
  if (operator === '=') return
  add(walk, words + operatorWeight(operator, words))
  // The element is read and written, and its address is computed for each.
  if (statement.target?.kind === 'index') add(walk, ACCESS_WEIGHT, ACCESS_COMPILE_WEIGHT)
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
  const turn = { loop, weight: 0 }
  walk.loops.push(turn)
  walk.region = turn
  walk.loopDepth += 1
  add(walk, LOOP_WEIGHT, LOOP_WEIGHT + LOOP_COMPILE_WEIGHT * (4 + walk.loopDepth))
  if (loop.condition !== undefined) readValue(walk, loop.condition)
  if (loop.update !== undefined) visitStatement(walk, loop.update)
  visitBlock(walk, loop.body.statements, loop.continuing)
  walk.region = outer
  walk.loopDepth -= 1
  walk.scopes.pop()
}

function declare(walk: Walk, { keyword, name, type, value, start }: Declaration): void {
  const found = value === undefined ? undefined : readValue(walk, value)
  const written = type === undefined ? undefined : typeIn(walk, type)
  const declared = addValue(walk, written ?? found ?? SCALAR, { start })
  const scope = scopeOf(walk)
  const constant =
    keyword === 'const' && value !== undefined
      ? computed(() => evaluateAs({ type, value }, scope))
      : undefined
  walk.scopes.at(-1)?.set(name, { type: declared, isMemory: keyword === 'var', constant })
}
