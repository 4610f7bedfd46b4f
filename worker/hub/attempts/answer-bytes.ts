/** Predicts how large an answer is, where the work says so. Pure. */
import type { Work } from '#shared/job/job.ts'
import { libraryOutputBytes } from '#shared/kernels/kernels.ts'

/** @returns bytes of a kernel's answer; 0 for a model, whose small answer is bounded on the stream */
export function answerBytes(work: Work): number {
  if (work.kind === 'library') return libraryOutputBytes(work)
  if (work.kind !== 'kernel') return 0
  return work.buffers.reduce((sum, buffer) => sum + (buffer.return ? buffer.sizeBytes : 0), 0)
}
