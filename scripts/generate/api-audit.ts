/** Operations of `/v1/audit` and `/v1/compliance` for the OpenAPI document. */
import { z } from 'zod'
import { CheckpointReply, EntriesReply, LogKeyReply, ProofReply } from '#shared/api/audit.ts'
import { AuditBundle } from '#shared/audit/bundle.ts'
import { JurisdictionsReply } from '#worker/api/audit/compliance.ts'
import { RopaReply } from '#worker/api/audit/record-of-processing.ts'

const SELECTION = {
  from: 'First entry, by number or time (2026-11-01, RFC 3339, milliseconds). Default: the beginning',
  to: 'End, by the number of the entry after the last one, or by the last time. Default: the end',
  policy: 'Only entries of jobs of this policy: eu-only',
  type: 'Of this type: job.placed',
}

export const AUDIT_OPERATIONS = [
  {
    method: 'GET',
    path: '/v1/audit/key',
    summary: "Get the public key of the audit logs' checkpoints, for auditors to pin",
    security: 'none',
    reply: LogKeyReply,
  },
  {
    method: 'GET',
    path: '/v1/audit/events',
    summary: "List the entries of the tenant's audit log, newest first",
    security: 'key',
    query: {
      type: 'Of this type: job.placed',
      job: 'Only entries of this job: job_…',
      from: 'Earliest time: milliseconds or a date',
      to: 'Latest time',
      before: 'Only entries before this one: `next` of the previous page',
      limit: 'Entries of a page',
    },
    reply: EntriesReply,
  },
  {
    method: 'GET',
    path: '/v1/audit/checkpoint',
    summary:
      'Get a signed checkpoint of the log (C2SP tlog-checkpoint); the note alone by Accept: text/plain',
    security: 'key',
    reply: CheckpointReply,
    otherMedia: { 'text/plain': z.string() },
  },
  {
    method: 'GET',
    path: '/v1/audit/inclusion',
    summary: 'Prove that an entry is in the log of a size (RFC 9162)',
    security: 'key',
    query: { index: 'Number of the entry', size: 'Size of the log' },
    reply: ProofReply,
  },
  {
    method: 'GET',
    path: '/v1/audit/consistency',
    summary: 'Prove that a larger log begins with a smaller one (RFC 9162)',
    security: 'key',
    query: { from: 'The smaller size', to: 'The larger size' },
    reply: ProofReply,
  },
  {
    method: 'GET',
    path: '/v1/audit/export',
    summary: 'Export entries as JSON lines or CSV, streamed; the export is logged',
    security: 'key',
    query: { format: 'jsonl or csv', ...SELECTION },
    reply: z.string(),
    media: ['application/x-ndjson', 'text/csv'],
  },
  {
    method: 'GET',
    path: '/v1/audit/bundle',
    summary:
      'Export entries, proofs, receipts and batches for `npm run verify`; the export is logged',
    security: 'key',
    query: SELECTION,
    reply: AuditBundle,
  },
  {
    method: 'GET',
    path: '/v1/jobs/:id/proof',
    summary: 'Export the bundle of one job',
    security: 'key',
    reply: AuditBundle,
  },
  {
    method: 'GET',
    path: '/v1/compliance/ropa',
    summary:
      'Get the record of processing activities (GDPR Art. 30), from policies and placements; the request is logged',
    security: 'key',
    query: { format: 'json or csv' },
    reply: RopaReply,
    otherMedia: { 'text/csv': z.string() },
  },
  {
    method: 'GET',
    path: '/v1/compliance/jurisdictions',
    summary: 'Get the jurisdictions of the infrastructure (EU Data Act, Art. 28)',
    security: 'none',
    reply: JurisdictionsReply,
  },
] as const
