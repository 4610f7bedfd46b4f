/** The measured weight of a function. */
import type { Call, Expression, FunctionDeclaration, Loop } from '../parse/syntax.ts'
import type { ValueType } from './types.ts'

export interface LoopWeight {
  readonly loop: Loop
  /** Weight of one turn, without the turns of inner loops. */
  readonly weight: number
}

export interface FunctionWeight {
  readonly declaration: FunctionDeclaration
  /** Weight outside loops with calls written out: what runs once a call. */
  readonly once: number
  /** Weight of the whole text with calls written out: what the compiler processes. */
  readonly expanded: number
  readonly loops: readonly LoopWeight[]
  /** Calls of the module's own functions, in the order of the source. */
  readonly calls: readonly Call[]
  readonly uses: ReadonlySet<string>
  /** Whether it synchronises a workgroup, itself or through a call. */
  readonly hasBarrier: boolean
}

export interface KernelWeights {
  of(name: string): FunctionWeight | undefined
  /** @throws {AppError} too_large for a value over the bound */
  readonly typeOf: (value: Expression) => ValueType
}
