/** Counts the paths through a kernel's loops. SwiftShader's compiler visits each path; other compilers visit each block once. */
import type { Call, Expression, FunctionDeclaration, Loop, Statement } from '../parse/syntax.ts'
import type { KernelReport } from './inspect-kernel.ts'
import { tooMuch } from '../parse/refuse.ts'

/** Loop bodies, each counted once for every path to it, on a software adapter. Its compiler needs one second for this many. */
const WGSL_WAYS = 1 << 19

interface LoopWays {
  /** Sum over the blocks of all loops of the paths to each, with calls written out. */
  readonly count: number
  readonly line: number
}

/** Keeps products finite; larger counts are not distinguished. */
const MOST = 1e12

/** @throws {AppError} no_capacity, rule `kernels.budget`: another device's compiler may take it */
export function checkWays(report: KernelReport): void {
  const { count, line } = countWays(report)
  if (count <= WGSL_WAYS) return
  throw tooMuch(
    `line ${line}: this loop has over ${WGSL_WAYS} ways through its branches, more than this node's software adapter compiles`,
    'use fewer `if` with `else`, `&&` and `||` in one loop',
  )
}

interface FunctionWays extends LoopWays {
  /** Paths from its beginning to its end. */
  readonly through: number
  /** Sum over the blocks outside its loops of the paths to each. */
  readonly visits: number
}

interface Walk {
  readonly of: (name: string) => FunctionWays | undefined
  visits: number
  count: number
  worst: { count: number; line: number }
  /** Paths that end by `return`. */
  returned: number
  /** Paths that leave each enclosing switch and loop by `break`, the innermost last. */
  readonly left: number[]
}

/**
 * Each branch with two arms doubles the paths to what follows. An `if` without `else` hardly adds any, as its paths
 * differ in length. A loop is left by its first test.
 */
function countWays({ functions, entry }: KernelReport): LoopWays {
  const declared = new Map(functions.map(({ declaration }) => [declaration.name, declaration]))
  const known = new Map<string, FunctionWays>()
  const of = (name: string): FunctionWays | undefined => {
    const found = known.get(name)
    const declaration = declared.get(name)
    if (found !== undefined || declaration === undefined) return found
    const ways = ofFunction(declaration, of)
    known.set(name, ways)
    return ways
  }
  const { count, line } = of(entry.declaration.name) ?? { count: 0, line: entry.declaration.line }
  return { count, line }
}

function ofFunction({ body, line }: FunctionDeclaration, of: Walk['of']): FunctionWays {
  const walk: Walk = { of, visits: 0, count: 0, worst: { count: 0, line }, returned: 0, left: [] }
  const ended = statement(walk, body, 1)
  const through = bounded(ended + walk.returned)
  return { through, visits: walk.visits, count: walk.count, line: walk.worst.line }
}

/** @returns the paths to what follows, 0 where nothing follows */
function statement(walk: Walk, node: Statement, before: number): number {
  if (node.kind === 'block') return inOrder(walk, node.statements, before)
  if (node.kind === 'if') return branch(walk, node, before)
  if (node.kind === 'switch') return clauses(walk, node, before)
  if (node.kind === 'loop') return loop(walk, node, before)
  if (node.kind === 'break') walk.left.push(bounded((walk.left.pop() ?? 0) + before))
  if (node.kind === 'break' || node.kind === 'continue') return 0
  if (node.kind === 'call') return expression(walk, node.call, before)
  if (node.kind === 'break-if') return expression(walk, node.condition, before)
  if (node.kind === 'return') {
    walk.returned = bounded(walk.returned + expression(walk, node.value, before))
    return 0
  }
  if (node.kind === 'declaration') return expression(walk, node.value, before)
  if (node.kind !== 'assign') return before
  return expression(walk, node.value, expression(walk, node.target, before))
}

function inOrder(walk: Walk, nodes: readonly Statement[], before: number): number {
  return nodes.reduce((ways, node) => statement(walk, node, ways), before)
}

function branch(walk: Walk, node: Statement & { kind: 'if' }, before: number): number {
  const ways = visit(walk, expression(walk, node.condition, before))
  const done = statement(walk, node.body, ways)
  if (node.otherwise === undefined) return ways
  return bounded(done + statement(walk, node.otherwise, ways))
}

function clauses(walk: Walk, node: Statement & { kind: 'switch' }, before: number): number {
  const ways = expression(walk, node.selector, before)
  walk.left.push(0)
  const done = node.clauses.reduce(
    (sum, { body }) => bounded(sum + statement(walk, body, visit(walk, ways))),
    0,
  )
  return bounded(done + (walk.left.pop() ?? 0))
}

function loop(walk: Walk, node: Loop, before: number): number {
  const ways = node.init === undefined ? before : statement(walk, node.init, before)
  const outside = walk.visits
  walk.visits = 0
  walk.left.push(0)
  const entered = expression(walk, node.condition, visit(walk, 1))
  const turned = statement(walk, node.body, entered)
  for (const last of [node.continuing, node.update])
    if (last !== undefined) statement(walk, last, Math.max(1, turned))
  walk.left.pop()
  const inside = walk.visits
  if (inside > walk.worst.count) walk.worst = { count: inside, line: node.line }
  walk.count = bounded(walk.count + inside)
  walk.visits = bounded(outside + ways * inside)
  return ways
}

function expression(walk: Walk, node: Expression | undefined, before: number): number {
  if (node === undefined) return before
  if (node.kind === 'unary') return expression(walk, node.operand, before)
  if (node.kind === 'member') return expression(walk, node.base, before)
  if (node.kind === 'index')
    return expression(walk, node.index, expression(walk, node.base, before))
  if (node.kind === 'call') return call(walk, node, before)
  if (node.kind !== 'binary') return before
  const left = expression(walk, node.left, before)
  if (!/^(?:&&|\|\|)$/.test(node.operator)) return expression(walk, node.right, left)
  return bounded(visit(walk, left) + expression(walk, node.right, left))
}

function call(walk: Walk, { callee, args }: Call, before: number): number {
  const ways = args.reduce((sofar, arg) => expression(walk, arg, sofar), before)
  const called = walk.of(callee.name)
  if (called === undefined) return ways
  if (called.count > walk.worst.count) walk.worst = called
  walk.count = bounded(walk.count + called.count)
  walk.visits = bounded(walk.visits + ways * called.visits)
  return bounded(ways * called.through)
}

function visit(walk: Walk, ways: number): number {
  walk.visits = bounded(walk.visits + ways)
  return ways
}

function bounded(ways: number): number {
  return Math.min(ways, MOST)
}
