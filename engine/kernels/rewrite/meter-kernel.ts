/** Rewrites a kernel so that every loop draws on a budget. A loop that uses it up ends and reports its line. */
import type { FunctionWeight, LoopWeight } from './function-weight.ts'
import { applyEdits, type Edit } from './edits.ts'
import { freshPrefix } from './fresh-prefix.ts'
import { lineOf, refuse, tooMuch, type SourcePosition } from '../parse/refuse.ts'
import type { KernelReport } from './inspect-kernel.ts'
import type { ListEnd, Loop, Span } from '../parse/syntax.ts'

/** Budget of a dispatch in units of weight (`weights.ts`), as measured on this device. */
export interface Grant {
  readonly total: number
  /** For one invocation of a workgroup of 64. */
  readonly each: number
  /** Whether invocations share one pool. Otherwise each has its own share, which is faster on a software adapter. */
  readonly isPooled: boolean
}

export interface MeteredKernel {
  /** The reached functions as their author wrote them. */
  readonly plain: string
  readonly source: string
  /** Insertions into the plain text, and lines after it. */
  readonly edits: readonly Edit[]
  readonly tail: readonly string[]
  /** Whether the source has the meter's buffer, `array<atomic<u32>, 2>` at `@group(1) @binding(0)`. */
  readonly isMetered: boolean
  /** Lines of the loops. The meter's second word is 1 + the index of one that used up its budget, or 0. */
  readonly loopLines: readonly number[]
  /** The budget of one dispatch, in words. */
  readonly allowed: string
}

/** Counters that a function takes from its caller and passes to the functions it calls. */
interface Meters {
  readonly count: number
  /** Counters of its own loops, in order. */
  readonly own: readonly number[]
  /** First counter of each call, in order; -1 where the callee takes none. */
  readonly calls: readonly number[]
}

const MOST_METERS = 64
const LARGEST = 2 ** 31
/** Invocations that a core processes at once. */
const SIMD_LANES = 4
/** Cost of clearing one word of workgroup memory when a workgroup begins. */
const CLEAR_WEIGHT = 8
/** Factor by which one invocation's share may exceed the mean: few use it up. */
const UNEVEN = 2

/**
 * Without barriers, loops draw on their invocation's budget. A kernel with barriers has one counter for each loop in
 * each place from which it is reached. A loop's end then depends on that loop alone, and uniform control flow stays
 * uniform.
 * @param invocations of the whole dispatch
 * @throws {AppError} no_capacity, rule `kernels.budget`, when the code outside loops alone exceeds the grant
 */
export function meterKernel(
  report: KernelReport,
  grant: Grant,
  invocations: number,
): MeteredKernel {
  const { module, source: plain, functions, entry } = report
  const position = ({ start }: Span): SourcePosition => ({ source: plain, start })
  const cleared = (CLEAR_WEIGHT * report.sharedWords) / report.invocations
  const allowed = allowedBy(grant)
  const once = Math.ceil((entry.once + cleared) * invocations)
  if (once > grant.total) {
    const line = lineOf(position(entry.declaration))
    throw tooMuch(
      `line ${line}: the dispatch does ${once} operations outside of loops, over ${allowed}`,
    )
  }
  const loops = functions.flatMap((weight) => weight.loops)
  if (loops.length === 0) return { ...asWritten(plain), allowed }
  const prefix = freshPrefix(module.identifiers)
  const ids = new Map(loops.map(({ loop }, index) => [loop, index + 1]))
  const idOf = (loop: Loop) => ids.get(loop) ?? 0
  const lanes = Math.max(SIMD_LANES, report.invocations)
  // A core that emulates a workgroup processes its invocations a few at a time; a GPU takes all at once.
  const each = grant.isPooled ? grant.each : (grant.each * 64) / lanes
  const parts = { functions, entry, position, prefix, grant: { ...grant, each }, invocations, idOf }
  const meter = entry.hasBarrier ? counted : grant.isPooled ? pooled : allotted
  const metered = meter(parts)
  const ends = functions.flatMap((weight, index) => endOf(weight, `${prefix}_zero${index}`, plain))
  const edits = [...metered.edits, ...ends.map(({ edit }) => edit)]
  const declared = `@group(1) @binding(0) var<storage, read_write> ${prefix}_meter: array<atomic<u32>, 2>;`
  const tail = [declared, ...metered.tail, ...ends.map(({ text }) => text)]
  const source = [applyEdits(plain, edits), ...tail].join('\n')
  const loopLines = loops.map(({ loop }) => loop.line)
  return { plain, source, edits, tail, isMetered: true, loopLines, allowed }
}

export function asWritten(plain: string): MeteredKernel {
  return { plain, source: plain, edits: [], tail: [], isMetered: false, loopLines: [], allowed: '' }
}

function allowedBy({ total, each }: Grant): string {
  const [all, one] = [total, each].map((weight) => weight.toPrecision(2))
  return `this node's ${all} operations of one dispatch, ${one} of one invocation`
}

interface Parts extends Pick<KernelReport, 'functions' | 'entry' | 'invocations'> {
  readonly position: (span: Span) => SourcePosition
  readonly prefix: string
  readonly grant: Grant
  readonly idOf: (loop: Loop) => number
}

interface Edited {
  readonly edits: readonly Edit[]
  readonly tail: readonly string[]
}

/** One pool for all. An invocation takes a new chunk when its last one is used up, so that long ones use what short ones leave. */
function pooled({ functions, prefix, grant, invocations, idOf }: Parts): Edited {
  const left = `${prefix}_left`
  const edits = functions.flatMap(({ loops }) =>
    loops.map(({ loop, weight }) => ({
      at: loop.body.start + 1,
      text: ` if (${left} < ${weight}u) { if (${prefix}_out(${weight}u, ${idOf(loop)}u)) { break; } } ${left} -= ${weight}u;`,
    })),
  )
  const chunk = clamp(grant.total / (4 * invocations), 256, 65_536)
  const chunks = clamp(grant.total / chunk, 1, LARGEST)
  const each = clamp(Math.ceil(grant.each / chunk), 1, LARGEST)
  return {
    edits,
    tail: [
      `var<private> ${left} = 0u; var<private> ${prefix}_quota = ${each}u;`,
      `fn ${prefix}_out(need: u32, line: u32) -> bool {`,
      `  let chunks = (need + ${chunk - 1}u) / ${chunk}u;`,
      `  if (${prefix}_quota >= chunks && atomicAdd(&${prefix}_meter[0], chunks) < ${chunks}u) {`,
      `    ${prefix}_quota -= chunks; ${left} += chunks * ${chunk}u; return false;`,
      '  }',
      `  ${left} = 0u; ${prefix}_quota = 0u; atomicMax(&${prefix}_meter[1], line); return true;`,
      '}',
    ],
  }
}

/**
 * A share for each invocation. An emulated GPU executes both sides of every branch. So the loop only leaves, and the
 * reason is tested after it.
 */
function allotted({ functions, prefix, grant, invocations, idOf }: Parts): Edited {
  const left = `${prefix}_left`
  const edits = functions.flatMap(({ loops }) =>
    loops.flatMap((each) => drawAndTell(each, left, `${prefix}_out(${idOf(each.loop)}u)`)),
  )
  const share = Math.min(grant.each, (UNEVEN * grant.total) / invocations)
  return {
    edits,
    tail: [`var<private> ${left} = ${clamp(share, 1, LARGEST)}u;`, outText(prefix)],
  }
}

/** Gives each loop in each place a counter, declared in the entry point and passed down by pointers. */
function counted({ functions, entry, position, prefix, grant, invocations, idOf }: Parts): Edited {
  const byName = new Map(functions.map((weight) => [weight.declaration.name, weight]))
  const known = new Map<string, Meters>()
  const metersOf = (weight: FunctionWeight): Meters => {
    const { name } = weight.declaration
    const found = known.get(name)
    if (found !== undefined) return found
    let count = weight.loops.length
    const calls = weight.calls.map(({ callee }) => {
      const called = byName.get(callee.name)
      const taken = called === undefined ? 0 : metersOf(called).count
      if (taken === 0) return -1
      count += taken
      return count - taken
    })
    if (count > MOST_METERS)
      throw refuse(
        'too_large',
        position(weight.declaration),
        `${name} reaches ${count} loops beside barriers, at most ${MOST_METERS} are allowed`,
      )
    const meters = { count, own: weight.loops.map((_, index) => index), calls }
    known.set(name, meters)
    return meters
  }
  const name = (index: number) => `${prefix}_c${index}`
  const edits = functions.flatMap((weight) => {
    const meters = metersOf(weight)
    const { declaration } = weight
    const share = Math.min(grant.each, grant.total / invocations) / Math.max(1, meters.count)
    const indices = Array.from({ length: meters.count }, (_, index) => index)
    const declare = (i: number) =>
      ` var ${prefix}_v${i} = ${clamp(share, 1, LARGEST)}u; let ${name(i)} = &${prefix}_v${i};`
    const parameters = indices.map((i) => `${name(i)}: ptr<function, u32>`)
    const head: Edit =
      weight === entry
        ? { at: declaration.body.start + 1, text: indices.map(declare).join('') }
        : insertArgs(declaration, declaration.parameters.length, parameters)
    const turns = weight.loops.flatMap((each, index) =>
      drawAndTell(each, `*${name(index)}`, `${prefix}_out(${idOf(each.loop)}u)`),
    )
    const calls = weight.calls.flatMap((call, at) => {
      const first = meters.calls[at] ?? -1
      const called = byName.get(call.callee.name)
      if (first < 0 || called === undefined) return []
      const handed = indices.slice(first, first + metersOf(called).count)
      return insertArgs(call, call.args.length, handed.map(name))
    })
    return [head, ...turns, ...calls]
  })
  return { edits, tail: [outText(prefix)] }
}

/** A turn draws on a counter or leaves the loop; behind the loop an empty counter is reported. */
function drawAndTell({ loop, weight }: LoopWeight, counter: string, tell: string): Edit[] {
  const isSpent = `${counter} < ${weight}u`
  return [
    { at: loop.body.start + 1, text: ` if (${isSpent}) { break; } ${counter} -= ${weight}u;` },
    { at: loop.end, text: ` if (${isSpent}) { ${tell}; }` },
  ]
}

function insertArgs(
  { closeAt, hasTrailingComma }: ListEnd,
  before: number,
  args: readonly string[],
): Edit {
  const comma = before > 0 && !hasTrailingComma && args.length > 0 ? ', ' : ''
  return { at: closeAt, text: comma + args.join(', ') }
}

function outText(prefix: string): string {
  return `fn ${prefix}_out(line: u32) { atomicMax(&${prefix}_meter[1], line); }`
}

/** A function that could only end in its loops needs a value to return after them. */
function endOf(
  { declaration, loops }: FunctionWeight,
  zero: string,
  source: string,
): { readonly edit: Edit; readonly text: string }[] {
  const { returnType, body } = declaration
  const isEnded = body.statements.at(-1)?.kind === 'return'
  if (returnType === undefined || loops.length === 0 || isEnded) return []
  const type = source.slice(returnType.start, returnType.end)
  const edit = { at: body.end - 1, text: ` return ${zero}();` }
  return [{ edit, text: `fn ${zero}() -> ${type} { return ${type}(); }` }]
}

function clamp(value: number, least: number, most: number): number {
  return Math.floor(Math.min(most, Math.max(least, value)))
}
