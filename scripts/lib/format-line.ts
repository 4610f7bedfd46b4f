/** A line of the verifier, as the commands print it. */
import type { VerificationLine } from '#shared/verify/line.ts'

export function formatLine({ name, result, detail }: VerificationLine): string {
  const mark = { passed: '✓', failed: '✗', simulated: '!', open: '?' }[result]
  return `${mark} ${name.padEnd(22)} ${detail}`
}
