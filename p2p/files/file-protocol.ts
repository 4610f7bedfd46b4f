/** `/littoral/files/1.0.0`: serves a model file to another node, from an offset, in work stream frames. */
import { z } from 'zod'
import { Bytes32 } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'

export const FILES_PROTOCOL = '/littoral/files/1.0.0'

/** Job number of the data frames; a stream carries one file. */
export const FILE_JOB = 1

/** The request, as a `hello` frame. */
export const FileRequest = z.strictObject({
  sha256: Bytes32,
  offset: z.int().min(0).max(LIMITS.modelFileBytes),
})
export type FileRequest = z.infer<typeof FileRequest>

/** The reply, as a `welcome` frame before the data. An `error` frame refuses. */
export const FileHeader = z.strictObject({ sizeBytes: z.int().min(1).max(LIMITS.modelFileBytes) })
export type FileHeader = z.infer<typeof FileHeader>
