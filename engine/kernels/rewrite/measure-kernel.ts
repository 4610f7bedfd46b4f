/** Measures each function of a kernel once, callees before their callers. */
import type { FunctionWeight, KernelWeights } from './function-weight.ts'
import { measureBody } from './measure-body.ts'
import { inferType } from './measure-expression.ts'
import type { ModuleNames } from './module-names.ts'
import { refuse } from '../parse/refuse.ts'
import { WGSL_DEPTH } from '#engine/kernels/parse/cursor.ts'

/** Weight of one function with all its calls inlined, in the units of `weights.ts`. */
export const WGSL_EXPANDED = 20_000

/** @throws {AppError} too_large when a function weighs too much with calls written out, invalid_request for recursion */
export function createKernelWeights(names: ModuleNames): KernelWeights {
  const done = new Map<string, FunctionWeight>()
  const open = new Set<string>()
  const weights: KernelWeights = {
    of(name) {
      const known = done.get(name)
      const declaration = names.functions.get(name)
      if (known !== undefined || declaration === undefined) return known
      const position = names.positionOf(declaration)
      if (open.has(name)) throw refuse('invalid_request', position, `function ${name} calls itself`)
      if (open.size >= WGSL_DEPTH)
        throw refuse('too_large', position, `calls nest deeper than ${WGSL_DEPTH} at ${name}`)
      open.add(name)
      const weight = measureBody(declaration, names, weights)
      open.delete(name)
      if (weight.expanded > WGSL_EXPANDED) {
        const detail = `${name} weighs ${weight.expanded} with its calls written out, at most ${WGSL_EXPANDED} are allowed`
        throw refuse('too_large', position, detail)
      }
      done.set(name, weight)
      return weight
    },
    typeOf: (value) => inferType(value, names, weights),
  }
  return weights
}
