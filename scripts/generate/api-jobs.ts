/** Operations of `/v1/jobs` for the OpenAPI document. */
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
    summary: 'Create a batch: run a kernel or model over many inputs on many nodes',
    security: 'key',
    body: JobsRequest,
    reply: CreatedBatchReply,
    status: 202,
  },
  {
    method: 'GET',
    path: '/v1/jobs',
    summary: "List the tenant's batches, newest first",
    security: 'key',
    query: { after: 'The last batch of the previous page' },
    reply: BatchesReply,
  },
  {
    method: 'GET',
    path: '/v1/jobs/:id',
    summary: 'Get the state of a batch',
    security: 'key',
    reply: BatchReply,
  },
  {
    method: 'GET',
    path: '/v1/jobs/:id/results',
    summary:
      'List items that have ended, by index; framed bytes by Accept: application/octet-stream',
    security: 'key',
    query: { after: 'The last index of the previous page', limit: 'Items in a page' },
    reply: ResultsReply,
  },
  {
    method: 'GET',
    path: '/v1/jobs/:id/results/:which',
    summary: 'Get the result of one item by its index, or of the reduction by `reduced`',
    security: 'key',
    reply: ResultReply,
  },
  {
    method: 'GET',
    path: '/v1/jobs/:id/events',
    summary:
      'Follow the progress as server-sent events: item, progress, end; resume by Last-Event-ID',
    security: 'key',
    query: { after: 'Id of the last event received' },
    reply: z.union([BatchItem, BatchReply]),
    media: ['text/event-stream'],
  },
  {
    method: 'POST',
    path: '/v1/jobs/:id/acknowledge',
    summary: 'Acknowledge that the results were fetched, and erase the batch',
    security: 'key',
    reply: BatchReply,
  },
  {
    method: 'DELETE',
    path: '/v1/jobs/:id',
    summary:
      'Cancel a batch and its running items, or erase it, or erase a single job (job_…). Erasing needs scope admin and returns a proof',
    security: 'key',
    query: { erase: 'true to erase the batch' },
    reply: z.union([BatchReply, ErasureReply, BatchErasureReply]),
  },
] as const
