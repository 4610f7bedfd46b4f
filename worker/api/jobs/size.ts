/** Bounds what a batch will store, before it is accepted, so that a tenant's total stays bounded. */
import type { Work } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { type BatchInput, type BatchSpec, JOBS_OUTPUT_BYTES } from '#worker/protocols/batch.ts'
import { answerBytes } from '#worker/protocols/hub.ts'

/** Bytes of inputs, results and reduction. Where the results' size is unknown, the maximum is assumed. */
export function reservedBytes(
  { items, template, reduce }: Pick<BatchSpec, 'items' | 'template' | 'reduce'>,
  input: BatchInput,
): number {
  const outputBytes = (work: Work | null) =>
    (work === null ? undefined : answerBytes(work)) ?? JOBS_OUTPUT_BYTES
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
