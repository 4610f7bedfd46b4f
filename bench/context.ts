/** What every bench is given. */
import type { Log } from '#shared/log.ts'
import type { LiveStack } from './live-stack.ts'

export interface BenchContext {
  /** For files of this run; removed after it. */
  readonly dir: string
  readonly log: Log
  /** Fewer repetitions: to see that it runs, not for figures. */
  readonly quick: boolean
  readonly stack: LiveStack
}
