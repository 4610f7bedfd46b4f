/** Ids in paths and queries. Hex digits may have either case there; in signed documents they may not. */
import { z } from 'zod'
import { Bytes32, JobId } from '#shared/base/ids.ts'
import { BatchId } from '#worker/protocols/batch.ts'

const AnyCase = z.string().max(256).toLowerCase()

export const AskedBytes32 = AnyCase.pipe(Bytes32)
export const AskedJobId = AnyCase.pipe(JobId)
export const AskedBatchId = AnyCase.pipe(BatchId)
