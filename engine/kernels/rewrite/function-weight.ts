/** What is known of a function's weight once it has been measured. */
import type { Call, Expression, FunctionDeclaration, Loop } from '../parse/syntax.ts'
import type { ValueType } from './types.ts'

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
  /** Variables and constants of the module that it names itself. */
  readonly uses: ReadonlySet<string>
  /** Whether it, or what it calls, holds a whole workgroup together. */
  readonly hasBarrier: boolean
}

export interface KernelWeights {
  of(name: string): FunctionWeight | undefined
  /** @throws {AppError} too_large for a value over the bound */
  readonly typeOf: (value: Expression) => ValueType
}
