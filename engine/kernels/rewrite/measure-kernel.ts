/** How much a kernel's functions weigh when every call is written out, and how much one turn of each loop does. */
import { AppError } from '#shared/errors.ts'
import { LIMITS } from '#shared/limits.ts'
import type { Call, Expression, FunctionDeclaration, Loop } from '../parse/syntax.ts'
import { measureBody } from './measure-body.ts'
import type { ModuleNames } from './module-names.ts'
import { SCALAR, type ValueType } from './types.ts'

export interface LoopWeight {
  readonly loop: Loop
  /** Of one turn, without the turns of loops inside it. */
  readonly weight: number
}

export interface FunctionWeight {
  readonly declaration: FunctionDeclaration
  /** What runs once a call: everything outside loops, with calls written out. */
  readonly once: number
  /** Everything once, with calls written out: what the compiler sees. */
  readonly expanded: number
  /** In the order of the source. */
  readonly loops: readonly LoopWeight[]
  /** Calls of the module's own functions, in the order of the source. */
  readonly calls: readonly Call[]
  /** Whether it, or what it calls, holds a whole workgroup together. */
  readonly hasBarrier: boolean
}

export interface KernelWeights {
  of(name: string): FunctionWeight | undefined
  /** @throws {AppError} too_large for a value over the bound */
  readonly typeOf: (value: Expression) => ValueType
}

/** @throws {AppError} too_large when a function weighs too much written out, invalid_request for recursion */
export function createKernelWeights(names: ModuleNames): KernelWeights {
  const done = new Map<string, FunctionWeight>()
  const open = new Set<string>()
  const weights: KernelWeights = {
    of(name) {
      const known = done.get(name)
      const declaration = names.functions.get(name)
      if (known !== undefined || declaration === undefined) return known
      if (open.has(name)) throw refuse('invalid_request', `function ${name} calls itself`)
      if (open.size >= LIMITS.wgslDepth)
        throw refuse('too_large', `calls nest deeper than ${LIMITS.wgslDepth} at ${name}`)
      open.add(name)
      const weight = measureBody(declaration, names, weights)
      open.delete(name)
      if (weight.expanded > LIMITS.wgslExpanded) {
        const detail = `line ${declaration.line}: ${name} weighs ${weight.expanded} with its calls written out, at most ${LIMITS.wgslExpanded} are taken`
        throw refuse('too_large', detail)
      }
      done.set(name, weight)
      return weight
    },
    typeOf: (value) => {
      const declaration: FunctionDeclaration = { ...NOWHERE, body: { ...EMPTY_BLOCK } }
      let type: ValueType = SCALAR
      measureBody(declaration, names, weights, (infer) => (type = infer(value)))
      return type
    },
  }
  return weights
}

const EMPTY_BLOCK = { kind: 'block', statements: [], start: 0, end: 0 } as const
const NOWHERE = {
  kind: 'function',
  name: '',
  attributes: [],
  parameters: [],
  closeAt: 0,
  hasTrailingComma: false,
  returnType: undefined,
  line: 1,
  start: 0,
  end: 0,
} as const

export function refuse(code: 'too_large' | 'invalid_request', detail: string): AppError {
  return new AppError(code, `/kernel/wgsl: ${detail}.`, {
    meta: { errors: [{ pointer: '/kernel/wgsl', detail }] },
  })
}
