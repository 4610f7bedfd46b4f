/** Formats a line of the verifier. */
import type { LineResult, VerificationLine } from '#shared/verify/line.ts'

export function formatLine({ name, result, detail }: VerificationLine): string {
  const mark = MARKS[result]
  return `${mark} ${name.padEnd(22)} ${detail}`
}

const MARKS = {
  passed: '✓',
  absent: '·',
  simulated: '!',
  open: '?',
  pending: '…',
  missing: '–',
  failed: '✗',
} as const satisfies Record<LineResult, string>
