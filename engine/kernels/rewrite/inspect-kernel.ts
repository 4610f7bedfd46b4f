/** Inspects a kernel before a device sees it: its weight, its loops, and what it may not do. */
import { evaluate, WGSL_VALUE_WORDS } from '../constant/evaluate.ts'
import { isInteger, Uncomputed } from '../constant/values.ts'
import { parseKernel } from '../parse/parse-kernel.ts'
import type { Declaration, FunctionDeclaration, KernelModule } from '../parse/syntax.ts'
import { productOf, type Triple } from '#engine/pace/next-box.ts'
import type { FunctionWeight, KernelWeights } from './function-weight.ts'
import { createKernelWeights, WGSL_EXPANDED } from './measure-kernel.ts'
import { computed, createModuleNames, type ModuleNames } from './module-names.ts'
import { refuse, type SourcePosition } from '../parse/refuse.ts'

const WGSL_STATEMENTS = 2_000
const WGSL_FUNCTIONS = 128

export interface KernelReport {
  readonly module: KernelModule
  /** The text without unreached functions. Every line keeps its number. */
  readonly source: string
  /** The functions that the entry point reaches, and itself, in the order of the source. */
  readonly functions: readonly FunctionWeight[]
  readonly entry: FunctionWeight
  /** Size of one workgroup. */
  readonly invocations: number
  readonly workgroupSize: Triple
  readonly resources: readonly Resource[]
  /** Words of workgroup memory that each workgroup clears first. */
  readonly sharedWords: number
}

/** A module variable that the entry point reaches and the host must bind. */
export interface Resource {
  readonly name: string
  readonly position: SourcePosition
  readonly group: number | undefined
  readonly binding: number | undefined
  /** `uniform`, `read` or `read_write`; undefined for a texture or sampler. */
  readonly access: string | undefined
}

/** Names that the rewritten kernel needs in their own meaning. */
const NEEDED =
  'u32 bool array atomic ptr function private storage read_write atomicAdd atomicMax'.split(' ')
/** WebGPU's default limits of invocations in a workgroup, and in its third dimension. */
const MOST_INVOCATIONS = 256
const MOST_DEEP = 64
/** WebGPU's default limit of workgroup memory: 16 KiB. */
const MOST_SHARED_WORDS = 4_096

/**
 * Parses and weighs a kernel. Rules: docs/design/kernels-untrusted.md.
 * @throws {AppError} invalid_request with the line for invalid WGSL or a missing entry point, too_large over a bound
 */
export function inspectKernel(source: string, entryPoint: string): KernelReport {
  const module = parseKernel(source)
  const names = createModuleNames(module)
  if (module.statements > WGSL_STATEMENTS)
    throw tooMany(undefined, `${module.statements} statements`, WGSL_STATEMENTS)
  if (names.functions.size > WGSL_FUNCTIONS)
    throw tooMany(undefined, `${names.functions.size} functions`, WGSL_FUNCTIONS)
  checkNames(module, names)
  const weights = createKernelWeights(names)
  const declaration = names.functions.get(entryPoint)
  const entry =
    declaration !== undefined && isCompute(declaration) ? weights.of(entryPoint) : undefined
  if (entry === undefined) throw noEntryPoint(entryPoint, names)
  const reached = reach(entry, weights)
  const functions = [...names.functions.keys()].flatMap((name) => reached.get(name) ?? [])
  const total = functions.reduce((sum, { expanded }) => sum + expanded, 0)
  if (total > 2 * WGSL_EXPANDED) {
    const what = `${total} units of weight with all calls written out`
    throw tooMany(names.positionOf(entry.declaration), what, 2 * WGSL_EXPANDED)
  }
  const uses = new Set(functions.flatMap((weight) => [...weight.uses]))
  const sharedWords = checkVariables(names, uses, weights.typeOf)
  const size = workgroupSize(entry.declaration, names)
  const resources = resourcesOf(names, uses)
  return {
    module,
    source: withoutUnreached(module, reached),
    functions,
    entry,
    resources,
    invocations: productOf(size),
    workgroupSize: size,
    sharedWords,
  }
}

function isCompute({ attributes }: FunctionDeclaration): boolean {
  return attributes.some(({ name }) => name === 'compute')
}

function noEntryPoint(entryPoint: string, { functions }: Pick<ModuleNames, 'functions'>) {
  const there = [...functions.values()].filter(isCompute).map(({ name }) => name)
  const known = there.length === 0 ? 'there is none' : `there are: ${there.slice(0, 8).join(', ')}`
  return refuse(
    'invalid_request',
    undefined,
    `there is no @compute entry point ${entryPoint}; ${known}`,
  )
}

/** Functions that run when the entry point does. Only they are weighed, metered and compiled. */
function reach(entry: FunctionWeight, weights: KernelWeights): ReadonlyMap<string, FunctionWeight> {
  const reached = new Map<string, FunctionWeight>()
  const waiting = [entry]
  for (let found = waiting.pop(); found !== undefined; found = waiting.pop()) {
    const { name } = found.declaration
    if (reached.has(name)) continue
    reached.set(name, found)
    waiting.push(...found.calls.flatMap(({ callee }) => weights.of(callee.name) ?? []))
  }
  return reached
}

/** Blanks out unreached functions: other stages may not use the meter. Lines and columns stay. */
function withoutUnreached(
  { source, declarations }: KernelModule,
  reached: ReadonlyMap<string, FunctionWeight>,
): string {
  let text = ''
  let at = 0
  for (const declaration of declarations) {
    if (declaration.kind !== 'function' || reached.has(declaration.name)) continue
    const { start, end } = declaration
    text += source.slice(at, start) + source.slice(start, end).replace(/[^\s\u0085]/g, ' ')
    at = end
  }
  return text + source.slice(at)
}

/** A name that is declared twice would be measured once. The compiler refuses it too. */
function checkNames({ declarations }: KernelModule, names: ModuleNames): void {
  const seen = new Set<string>()
  for (const declaration of declarations) {
    if (declaration.kind === 'assert') continue
    const { name } = declaration
    const position = names.positionOf(declaration)
    if (NEEDED.includes(name))
      throw refuse('invalid_request', position, `${name} may not be given another meaning here`)
    if (seen.has(name)) throw refuse('invalid_request', position, `${name} is declared twice`)
    seen.add(name)
  }
}

/** Sums private memory and constants, which each invocation has, and workgroup memory, which each workgroup clears. */
function checkVariables(
  names: ModuleNames,
  uses: ReadonlySet<string>,
  infer: Parameters<ModuleNames['valueType']>[1],
): number {
  let words = 0
  let sharedWords = 0
  for (const declaration of names.values.values()) {
    if (declaration.keyword === 'var' && !uses.has(declaration.name)) continue
    if (declaration.keyword === 'override') checkOverride(declaration, names, uses)
    const space = declaration.qualifiers[0]
    const found = names.valueType(declaration.name, infer)?.words ?? 0
    const name = space?.kind === 'name' ? space.name : undefined
    if (declaration.keyword !== 'var' || name === 'private') words += found
    else if (name === 'workgroup') sharedWords += found
    const position = names.positionOf(declaration)
    if (words > WGSL_VALUE_WORDS)
      throw tooMany(position, `${words} words of private variables and constants`, WGSL_VALUE_WORDS)
    if (sharedWords > MOST_SHARED_WORDS)
      throw tooMany(position, `${sharedWords} words of workgroup memory`, MOST_SHARED_WORDS)
  }
  return sharedWords
}

function checkOverride(
  { name, value, start }: Declaration,
  names: ModuleNames,
  uses: ReadonlySet<string>,
): void {
  if (value !== undefined || !uses.has(name)) return
  const detail = `override ${name} has no value: write one here, since a job brings none`
  throw refuse('invalid_request', names.positionOf({ start }), detail)
}

function resourcesOf(names: ModuleNames, uses: ReadonlySet<string>): Resource[] {
  return [...names.values.values()].flatMap((declaration) => {
    const [space, mode] = declaration.qualifiers.map((each) =>
      each.kind === 'name' ? each.name : '',
    )
    const isBound = space === undefined || space === 'storage' || space === 'uniform'
    if (declaration.keyword !== 'var' || !isBound || !uses.has(declaration.name)) return []
    const numberOf = (attribute: string) => {
      const [written] = declaration.attributes.find(({ name }) => name === attribute)?.args ?? []
      const value =
        written === undefined ? undefined : computed(() => evaluate(written, names.scope))
      return value === undefined || value instanceof Uncomputed || !isInteger(value)
        ? undefined
        : Number(value.value)
    }
    const access = space === 'storage' ? (mode ?? 'read') : space
    const position = names.positionOf(declaration)
    const at = { group: numberOf('group'), binding: numberOf('binding') }
    return [{ name: declaration.name, position, ...at, access }]
  })
}

function workgroupSize(declaration: FunctionDeclaration, names: ModuleNames): Triple {
  const args = declaration.attributes.find(({ name }) => name === 'workgroup_size')?.args ?? []
  const [x = 1, y = 1, z = 1] = args.map((arg) =>
    names.sizeIn(names.scope, arg, 'the size of the workgroup'),
  )
  const size = [x, y, z] as const
  if (productOf(size) > MOST_INVOCATIONS) {
    const detail = `the workgroup has ${productOf(size)} invocations, at most ${MOST_INVOCATIONS} are allowed`
    throw refuse('invalid_request', names.positionOf(declaration), detail)
  }
  if (z > MOST_DEEP) {
    const detail = `the workgroup is ${z} deep, at most ${MOST_DEEP} are allowed in its third dimension`
    throw refuse('invalid_request', names.positionOf(declaration), detail)
  }
  return size
}

function tooMany(position: SourcePosition | undefined, what: string, most: number) {
  return refuse('too_large', position, `the kernel has ${what}, at most ${most} are allowed`)
}
