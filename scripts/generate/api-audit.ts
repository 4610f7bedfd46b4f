/** `/v1/audit` and `/v1/compliance` as OpenAPI describes them. */
import { z } from 'zod'
import { CheckpointReply, EntriesReply, LogKeyReply, ProofReply } from '#shared/api/audit.ts'
import { AuditBundle } from '#shared/audit/bundle.ts'
import { JurisdictionsReply } from '#worker/api/audit/compliance.ts'
import { RopaReply } from '#worker/api/audit/record-of-processing.ts'

const SELECTION = {
  from: 'First entry by its number, or a time (2026-11-01, RFC 3339, milliseconds); left out: the beginning',
  to: 'Entry before which it ends, or a last time; left out: the end',
  policy: 'Of jobs of this policy: eu-only',
  type: 'Of this type: job.placed',
}

export const AUDIT_OPERATIONS = [
  {
    method: 'GET',
    path: '/v1/audit/key',
    summary: "The public key that signs audit logs' checkpoints, for auditors to pin",
    security: 'none',
    reply: LogKeyReply,
  },
  {
    method: 'GET',
    path: '/v1/audit/events',
    summary: "The tenant's audit log, newest first",
    security: 'key',
    query: {
      type: 'Of this type: job.placed',
      job: 'Of this job: job_…',
      from: 'Since: milliseconds or a date',
      to: 'Until',
      before: 'Before this entry: what `next` said',
      limit: 'Entries of a page',
    },
    reply: EntriesReply,
  },
  {
    method: 'GET',
    path: '/v1/audit/checkpoint',
    summary:
      'The log as it stands, signed (C2SP tlog-checkpoint); the note alone by Accept: text/plain',
    security: 'key',
    reply: CheckpointReply,
    otherMedia: { 'text/plain': z.string() },
  },
  {
    method: 'GET',
    path: '/v1/audit/inclusion',
    summary: 'Proof that an entry is in the log of that size (RFC 9162)',
    security: 'key',
    query: { index: 'Place of the entry', size: 'Size of the log' },
    reply: ProofReply,
  },
  {
    method: 'GET',
    path: '/v1/audit/consistency',
    summary: 'Proof that the log of one size begins with that of another (RFC 9162)',
    security: 'key',
    query: { from: 'The smaller size', to: 'The larger size' },
    reply: ProofReply,
  },
  {
    method: 'GET',
    path: '/v1/audit/export',
    summary: 'Entries as JSON lines or CSV, streamed; itself an entry',
    security: 'key',
    query: { format: 'jsonl or csv', ...SELECTION },
    reply: z.string(),
    media: ['application/x-ndjson', 'text/csv'],
  },
  {
    method: 'GET',
    path: '/v1/audit/bundle',
    summary: 'Entries, proofs, receipts and batches for `npm run verify`; itself an entry',
    security: 'key',
    query: SELECTION,
    reply: AuditBundle,
  },
  {
    method: 'GET',
    path: '/v1/jobs/:id/proof',
    summary: 'The same for one job',
    security: 'key',
    reply: AuditBundle,
  },
  {
    method: 'GET',
    path: '/v1/compliance/ropa',
    summary:
      'Record of processing activities (GDPR Art. 30), from policies and placements; itself an entry',
    security: 'key',
    query: { format: 'json or csv' },
    reply: RopaReply,
    otherMedia: { 'text/csv': z.string() },
  },
  {
    method: 'GET',
    path: '/v1/compliance/jurisdictions',
    summary: 'Jurisdictions of the infrastructure (EU Data Act, Art. 28)',
    security: 'none',
    reply: JurisdictionsReply,
  },
] as const
