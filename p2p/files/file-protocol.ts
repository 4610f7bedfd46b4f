/** `/littoral/files/1.0.0`: one node gives another a model file, from an offset on, in the frames of the work stream. */
import { z } from 'zod'
import { Bytes32 } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'

export const FILES_PROTOCOL = '/littoral/files/1.0.0'

/** Job number of the data frames; a stream carries one file. */
export const FILE_JOB = 1

/** Who asks, as a `hello` frame. */
export const FileRequest = z.strictObject({
  sha256: Bytes32,
  offset: z.int().min(0).max(LIMITS.modelFileBytes),
})
export type FileRequest = z.infer<typeof FileRequest>

/** Who gives, as a `welcome` frame before the data; an `error` frame where it gives nothing. */
export const FileHeader = z.strictObject({ sizeBytes: z.int().min(1).max(LIMITS.modelFileBytes) })
export type FileHeader = z.infer<typeof FileHeader>
