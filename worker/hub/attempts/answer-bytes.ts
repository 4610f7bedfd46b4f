/** How large an answer will be, as far as the work says so. Pure. */
import type { Work } from '#shared/job/job.ts'
import { libraryOutputBytes } from '#shared/kernels/kernels.ts'

/** Bytes that a kernel's answer will have; a model's is small beside its input, and bounded on the stream. */
export function answerBytes(work: Work): number {
  if (work.kind === 'library') return libraryOutputBytes(work)
  if (work.kind !== 'kernel') return 0
  return work.buffers.reduce((sum, buffer) => sum + (buffer.return ? buffer.sizeBytes : 0), 0)
}
