/** Bounds what a batch will store, before it is accepted, so that a tenant's total stays bounded. */
import { libraryOutputBytes } from '#shared/kernels/kernels.ts'
import type { Work } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { type BatchInput, type BatchSpec, JOBS_OUTPUT_BYTES } from '#worker/protocols/batch.ts'

/** Bytes of inputs, results and reduction. Where the results' size is unknown, the maximum is assumed. */
export function reservedBytes(
  { items, template, reduce }: Pick<BatchSpec, 'items' | 'template' | 'reduce'>,
  input: BatchInput,
): number {
  const own = input.items.reduce((sum, { bytes }) => sum + bytes.length, 0)
  const results =
    template === null
      ? input.items.reduce((sum, { work }) => sum + outputBytes(work), 0)
      : items * outputBytes(template.work)
  const reduced = reduce === null ? 0 : LIMITS.jobOutputBytes
  return (
    input.shared.length + input.reduce.length + own + Math.min(results, JOBS_OUTPUT_BYTES) + reduced
  )
}

function outputBytes(work: Work | null): number {
  if (work?.kind === 'library') return libraryOutputBytes(work)
  if (work?.kind !== 'kernel') return JOBS_OUTPUT_BYTES
  return work.buffers.reduce((sum, { sizeBytes, return: back }) => sum + (back ? sizeBytes : 0), 0)
}
