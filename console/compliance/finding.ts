/** One thing that was compared in a proof. */
import type { LineResult } from '#shared/verify/line.ts'

export interface Finding {
  readonly result: LineResult
  readonly text: string
}

export function finding(isOk: boolean, text: string): Finding {
  return { result: isOk ? 'passed' : 'failed', text }
}
