/** `/v1/jobs` as OpenAPI describes it. */
import { z } from 'zod'
import { BatchErasureReply, ErasureReply } from '#shared/api/audit.ts'
import {
  BatchesReply,
  BatchReply,
  CreatedBatchReply,
  JobsRequest,
  ResultReply,
  ResultsReply,
} from '#worker/api/jobs/jobs.ts'
import { BatchItem } from '#worker/protocols/batch.ts'

export const JOB_OPERATIONS = [
  {
    method: 'POST',
    path: '/v1/jobs',
    summary: 'A batch: a kernel or model over many inputs, split over many nodes',
    security: 'key',
    body: JobsRequest,
    reply: CreatedBatchReply,
    status: 202,
  },
  {
    method: 'GET',
    path: '/v1/jobs',
    summary: "The tenant's batches, newest first",
    security: 'key',
    query: { after: 'The last batch of the page before' },
    reply: BatchesReply,
  },
  {
    method: 'GET',
    path: '/v1/jobs/:id',
    summary: 'How a batch stands',
    security: 'key',
    reply: BatchReply,
  },
  {
    method: 'GET',
    path: '/v1/jobs/:id/results',
    summary: 'Items that have ended, by index; framed bytes by Accept: application/octet-stream',
    security: 'key',
    query: { after: 'The last index of the page before', limit: 'Items of a page' },
    reply: ResultsReply,
  },
  {
    method: 'GET',
    path: '/v1/jobs/:id/results/:which',
    summary: "One item's result by its index, or the reduction's: reduced",
    security: 'key',
    reply: ResultReply,
  },
  {
    method: 'GET',
    path: '/v1/jobs/:id/events',
    summary: 'Progress as server-sent events: item, progress, end; resumed by Last-Event-ID',
    security: 'key',
    query: { after: 'Id of the last event that was seen' },
    reply: z.union([BatchItem, BatchReply]),
    media: ['text/event-stream'],
  },
  {
    method: 'POST',
    path: '/v1/jobs/:id/acknowledge',
    summary: 'The results are fetched: erase the batch',
    security: 'key',
    reply: BatchReply,
  },
  {
    method: 'DELETE',
    path: '/v1/jobs/:id',
    summary:
      'Cancel a batch, its running items are taken off their nodes; or erase it; or erase a single job (job_…). Erasing needs scope admin and answers with the proof',
    security: 'key',
    query: { erase: 'true to erase the batch' },
    reply: z.union([BatchReply, ErasureReply, BatchErasureReply]),
  },
] as const
