/** Everything that is known of a kernel before any device sees it: what it weighs, where its loops are, what it may not do. */
import { LIMITS } from '#shared/limits.ts'
import { parseKernel } from '../parse/parse-kernel.ts'
import type { FunctionDeclaration, KernelModule } from '../parse/syntax.ts'
import type { FunctionWeight } from './function-weight.ts'
import { createKernelWeights } from './measure-kernel.ts'
import { createModuleNames, type ModuleNames } from './module-names.ts'
import { refuse } from './refuse.ts'

export interface KernelReport {
  readonly module: KernelModule
  /** Functions of the module in the order of the source. */
  readonly functions: readonly FunctionWeight[]
  /** The entry point that is to run. */
  readonly entry: FunctionWeight
  /** Of one workgroup; the compiler checks it against the device. */
  readonly invocations: number
  /** Words of workgroup memory that each workgroup clears before it begins. */
  readonly sharedWords: number
}

/** Names that the rewritten kernel needs in their own meaning. */
const NEEDED = ['u32', 'bool', 'array', 'atomic', 'ptr', 'function', 'private', 'storage'].concat([
  'read_write',
  'atomicAdd',
  'atomicMax',
])
/** WebGPU's default limit of invocations in a workgroup. */
const MOST_INVOCATIONS = 256
/** The same of workgroup memory: 16 KiB. */
const MOST_SHARED_WORDS = 4_096
const STAGES = ['compute', 'vertex', 'fragment']

/**
 * Reads and weighs a kernel. Rules: docs/design/kernels-untrusted.md.
 * @throws {AppError} invalid_request with the line for what is no WGSL or lacks its entry point, too_large over a bound
 */
export function inspectKernel(source: string, entryPoint: string): KernelReport {
  const module = parseKernel(source)
  const names = createModuleNames(module)
  if (module.statements > LIMITS.wgslStatements)
    throw tooMany(module.statements, 'statements', LIMITS.wgslStatements)
  if (names.functions.size > LIMITS.wgslFunctions)
    throw tooMany(names.functions.size, 'functions', LIMITS.wgslFunctions)
  checkNames(module)
  const weights = createKernelWeights(names)
  const sharedWords = checkVariables(module, names, weights.typeOf)
  const functions = [...names.functions.keys()].flatMap((name) => weights.of(name) ?? [])
  const total = functions.reduce((sum, { expanded }) => sum + expanded, 0)
  if (total > 2 * LIMITS.wgslExpanded)
    throw tooMany(total, 'units of weight with all calls written out', 2 * LIMITS.wgslExpanded)
  const entry = weights.of(entryPoint)
  if (entry === undefined || !isEntryPoint(entry.declaration))
    throw refuse('invalid_request', `there is no entry point ${entryPoint}`)
  const invocations = workgroupSize(entry.declaration, names)
  return { module, functions, entry, invocations, sharedWords }
}

export function isEntryPoint({ attributes }: FunctionDeclaration): boolean {
  return attributes.some(({ name }) => STAGES.includes(name))
}

/** What is declared twice would be measured once; the compiler takes neither. */
function checkNames({ declarations }: KernelModule): void {
  const seen = new Set<string>()
  for (const declaration of declarations) {
    if (declaration.kind === 'assert') continue
    const { name } = declaration
    if (NEEDED.includes(name))
      throw refuse('invalid_request', `${name} may not be given another meaning here`)
    if (seen.has(name)) throw refuse('invalid_request', `${name} is declared twice`)
    seen.add(name)
  }
}

/** Private memory is every invocation's own, constants are folded by the compiler, workgroup memory is cleared before each workgroup. */
function checkVariables(
  module: KernelModule,
  names: ModuleNames,
  infer: Parameters<ModuleNames['valueType']>[1],
): number {
  let words = 0
  let sharedWords = 0
  for (const declaration of module.declarations) {
    if (declaration.kind !== 'declaration') continue
    const space = declaration.qualifiers[0]
    const found = names.valueType(declaration.name, infer)?.words ?? 0
    const name = space?.kind === 'name' ? space.name : undefined
    if (declaration.keyword !== 'var' || name === 'private') words += found
    // A size that is not known here is bounded by the device.
    else if (name === 'workgroup') sharedWords += Math.min(found, MOST_SHARED_WORDS)
  }
  if (words > LIMITS.wgslValueWords)
    throw tooMany(words, 'words of private variables and constants', LIMITS.wgslValueWords)
  return sharedWords
}

function workgroupSize({ attributes }: FunctionDeclaration, names: ModuleNames): number {
  const args = attributes.find(({ name }) => name === 'workgroup_size')?.args ?? []
  const size = args.reduce((product, arg) => product * (names.constant(arg) ?? Infinity), 1)
  return size >= 1 && size <= MOST_INVOCATIONS ? size : MOST_INVOCATIONS
}

function tooMany(value: number, what: string, most: number) {
  return refuse('too_large', `has ${value} ${what}, at most ${most} are taken`)
}
