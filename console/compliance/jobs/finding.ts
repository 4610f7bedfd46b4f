/** The result of one check in a proof. Pure, so that `prove-job.ts` runs outside a browser. */
import type { LineResult } from '#shared/verify/line.ts'

export interface Finding {
  readonly result: LineResult
  readonly text: string
}

export function finding(isOk: boolean, text: string): Finding {
  return { result: isOk ? 'passed' : 'failed', text }
}
