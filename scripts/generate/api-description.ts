/** The API as OpenAPI describes it: one entry a route, with the schemas that the Worker itself parses by. */
import { Hono } from 'hono'
import { describeRoute } from 'hono-openapi'
import { z } from 'zod'
import { PublicChain } from '#shared/api/network.ts'
import { DryRunReply } from '#shared/api/policies.ts'
import { EvidenceRecord } from '#shared/place/evidence.ts'
import { ReceiptDocument } from '#shared/receipt/receipt.ts'
import { PolicyDraft } from '#shared/law/policy.ts'
import { ChatCompletion, ChatCompletionChunk } from '#worker/api/openai/chat-answer.ts'
import { ChatRequest } from '#worker/api/openai/chat.ts'
import { Completion, CompletionChunk } from '#worker/api/openai/completions-answer.ts'
import { CompletionRequest } from '#worker/api/openai/completions.ts'
import { ComputeRequest, ComputeResponse } from '#worker/api/compute/compute.ts'
import { DryRunRequest } from '#worker/api/policies/dry-run.ts'
import { EmbeddingsRequest, EmbeddingsResponse } from '#worker/api/openai/embeddings.ts'
import { LibraryRequest, LibraryResponse } from '#worker/api/compute/library.ts'
import { InferRequest, InferResponse } from '#worker/api/oip/oip.ts'
import { ServerMessage } from '#worker/hub/session/messages.ts'
import {
  CreatedKeyReply,
  KeyReply,
  KeysReply,
  OwnKeyReply,
  QuotaReply,
  RotatedKeyReply,
} from '#shared/api/keys.ts'
import {
  KernelsReply,
  ListedModelReply,
  LiveReply,
  ModelReadyReply,
  ModelReply,
  ModelsReply,
  ServerReply,
} from '#shared/api/models.ts'
import {
  AdmissionReply,
  AttestationsReply,
  EarningsReply,
  NetworkReply,
  ReadyReply,
  UnattestedReply,
} from '#shared/api/network.ts'
import {
  DefaultPolicyReply,
  PoliciesReply,
  PolicyReply,
  PolicyVersionsReply,
  PublishedPolicyReply,
} from '#shared/api/policies.ts'
import { AUDIT_OPERATIONS } from './api-audit.ts'
import { JOB_OPERATIONS } from './api-jobs.ts'
import { SignedAttestation } from '#shared/place/evidence.ts'
import { AdmissionRequest } from '#worker/edge/admission.ts'
import { KeyRequest, KeyRotation, NewKey } from '#worker/protocols/tenant.ts'
import { QuotaChange } from '#worker/protocols/quota.ts'
import { describeOperation, type Operation } from './describe-operation.ts'
import type { NamedSchemas } from './named-schemas.ts'

export const OPERATIONS: readonly Operation[] = [
  ...JOB_OPERATIONS,
  ...AUDIT_OPERATIONS,
  {
    method: 'GET',
    path: '/v1/sessions',
    summary:
      'A WebSocket whose steps run in order on one near node. The client sends `open`, then `step`; what comes back is described here',
    security: 'key',
    query: { policy: 'Policy of the tenant', residency: 'Narrows the policy: CH,AT' },
    status: 101,
    reply: ServerMessage,
  },
  {
    method: 'GET',
    path: '/v2',
    summary: 'What this server is (Open Inference Protocol)',
    security: 'none',
    reply: ServerReply,
  },
  {
    method: 'GET',
    path: '/v2/health/live',
    summary: 'Whether the Worker runs',
    security: 'none',
    reply: LiveReply,
  },
  {
    method: 'GET',
    path: '/v2/health/ready',
    summary: 'Whether nodes, hubs, ledger and chain are ready; 503 when one is not',
    security: 'none',
    reply: ReadyReply,
  },
  ...modelOperations('/v2/models/:model', ''),
  ...modelOperations('/v2/models/:model/versions/:version', ', of one version'),
  {
    method: 'GET',
    path: '/v1/models',
    summary: 'All models (OpenAI), where they are and how warm',
    security: 'optionalKey',
    reply: ModelsReply,
  },
  {
    method: 'GET',
    path: '/v1/models/:model',
    summary: 'One model (OpenAI), where it is and how warm',
    security: 'optionalKey',
    reply: ListedModelReply,
  },
  {
    method: 'POST',
    path: '/v1/chat/completions',
    summary: 'The next message of a conversation, whole or as server-sent events (OpenAI)',
    security: 'key',
    body: ChatRequest,
    reply: ChatCompletion,
    otherMedia: { 'text/event-stream': ChatCompletionChunk },
    isJob: true,
  },
  {
    method: 'POST',
    path: '/v1/completions',
    summary: 'A text continued, whole or as server-sent events (OpenAI)',
    security: 'key',
    body: CompletionRequest,
    reply: Completion,
    otherMedia: { 'text/event-stream': CompletionChunk },
    isJob: true,
  },
  {
    method: 'POST',
    path: '/v1/embeddings',
    summary: 'Texts to vectors (OpenAI)',
    security: 'key',
    body: EmbeddingsRequest,
    reply: EmbeddingsResponse,
    isJob: true,
  },
  {
    method: 'POST',
    path: '/v1/compute',
    summary: 'Run a WGSL kernel over buffers, or a kernel of the library by name',
    security: 'key',
    body: z.union([LibraryRequest, ComputeRequest]),
    reply: z.union([LibraryResponse, ComputeResponse]),
    isJob: true,
  },
  {
    method: 'GET',
    path: '/v1/kernels',
    summary: 'Kernels of the library: inputs, parameters, limits, tolerance, price',
    security: 'optionalKey',
    reply: KernelsReply,
  },
  {
    method: 'GET',
    path: '/v1/receipts/:id',
    summary: 'A receipt of this tenant and where it stands on the chain',
    security: 'key',
    reply: ReceiptDocument,
  },
  {
    method: 'GET',
    path: '/v1/earnings',
    summary: 'What a receipt key has earned',
    security: 'none',
    query: { x: 'Its x, 0x and 64 hex digits', y: 'Its y' },
    reply: EarningsReply,
  },
  {
    method: 'GET',
    path: '/v1/nodes/:id/evidence',
    summary: "All that a connected node's place was concluded from",
    security: 'key',
    reply: EvidenceRecord,
  },
  {
    method: 'GET',
    path: '/v1/chain',
    summary: 'Chain and contract that receipts settle on, and where anybody may read them',
    security: 'none',
    reply: PublicChain,
  },
  {
    method: 'GET',
    path: '/v1/network',
    summary: 'Hubs, live nodes at country level, settlement',
    security: 'none',
    reply: NetworkReply,
  },
  {
    method: 'GET',
    path: '/v1/policies',
    summary: "The tenant's policies",
    security: 'key',
    reply: PoliciesReply,
  },
  {
    method: 'PUT',
    path: '/v1/policies/:id',
    summary: 'Publish the next version of a policy; the id in the body may be left out',
    security: 'key',
    body: PolicyDraft.partial({ id: true }),
    reply: PublishedPolicyReply,
  },
  {
    method: 'POST',
    path: '/v1/policies/:id/retire',
    summary: 'Retire a policy: it takes no new jobs, and its versions stay readable',
    security: 'key',
    reply: PolicyReply,
  },
  {
    method: 'GET',
    path: '/v1/policies/:id',
    summary: 'The newest version of a policy',
    security: 'key',
    reply: PolicyReply,
  },
  {
    method: 'GET',
    path: '/v1/policies/:id/versions',
    summary: 'The versions of a policy, newest first',
    security: 'key',
    reply: PolicyVersionsReply,
  },
  {
    method: 'GET',
    path: '/v1/policies/:id/versions/:version',
    summary: 'A version of a policy, as it was published',
    security: 'key',
    reply: PolicyReply,
  },
  {
    method: 'POST',
    path: '/v1/policies/dry-run',
    summary: 'What would happen to a job: each connected node, allowed or the rule that refuses it',
    security: 'key',
    body: DryRunRequest,
    reply: DryRunReply,
  },
  {
    method: 'POST',
    path: '/v1/keys',
    summary: 'Make an API key of this tenant; it can do nothing that the key which makes it cannot',
    security: 'key',
    body: KeyRequest,
    reply: CreatedKeyReply,
    status: 201,
  },
  {
    method: 'GET',
    path: '/v1/keys',
    summary: "This tenant's keys, without their secrets",
    security: 'key',
    reply: KeysReply,
  },
  {
    method: 'GET',
    path: '/v1/keys/self',
    summary: 'The key that asks: its tenant, its scopes',
    security: 'key',
    reply: OwnKeyReply,
  },
  {
    method: 'POST',
    path: '/v1/keys/:id/rotate',
    summary:
      'A new secret for a key; the one before is taken for as long as is said, or not at all',
    security: 'key',
    body: KeyRotation,
    reply: RotatedKeyReply,
  },
  {
    method: 'DELETE',
    path: '/v1/keys/:id',
    summary: 'Revoke a key',
    security: 'key',
    query: { last_admin: 'true to revoke the last admin key' },
    reply: KeyReply,
  },
  {
    method: 'POST',
    path: '/v1/policies/:id/default',
    summary: 'Make a policy the one of requests that name none',
    security: 'key',
    reply: DefaultPolicyReply,
  },
  {
    method: 'POST',
    path: '/v1/nodes/admission',
    summary: 'Admission token of a node; a key with scope node makes it a verified one',
    security: 'optionalKey',
    body: AdmissionRequest,
    reply: AdmissionReply,
  },
  {
    method: 'POST',
    path: '/v1/operator/keys',
    summary: 'Make an API key, and its tenant when it is the first',
    security: 'operator',
    body: NewKey,
    reply: CreatedKeyReply,
    status: 201,
  },
  {
    method: 'GET',
    path: '/v1/operator/keys',
    summary: "A tenant's keys",
    security: 'operator',
    query: { tenant: 'Its name' },
    reply: KeysReply,
  },
  {
    method: 'DELETE',
    path: '/v1/operator/keys/:id',
    summary: 'Revoke a key',
    security: 'operator',
    reply: KeyReply,
  },
  {
    method: 'POST',
    path: '/v1/operator/attestations',
    summary: 'Attest where a dedicated node stands, with a statement that an attester has signed',
    security: 'operator',
    status: 201,
    body: SignedAttestation,
    reply: SignedAttestation,
  },
  {
    method: 'GET',
    path: '/v1/operator/attestations',
    summary: 'Statements that stand',
    security: 'operator',
    reply: AttestationsReply,
  },
  {
    method: 'DELETE',
    path: '/v1/operator/attestations/:node',
    summary: 'Take a statement back',
    security: 'operator',
    reply: UnattestedReply,
  },
  {
    method: 'GET',
    path: '/v1/operator/quotas/:tenant',
    summary: "A tenant's quota, and how much of it has been handed out",
    security: 'operator',
    reply: QuotaReply,
  },
  {
    method: 'PUT',
    path: '/v1/operator/quotas/:tenant',
    summary:
      "Set a tenant's quota; what is left out stays as it is, and `none` takes the spending cap away",
    security: 'operator',
    body: QuotaChange,
    reply: QuotaReply,
  },
]

/** The protocol lets a version stand in the path of each of these. */
function modelOperations(path: string, of: string): Operation[] {
  return [
    {
      method: 'GET',
      path,
      summary: `A model's inputs, outputs and price${of}`,
      security: 'optionalKey',
      reply: ModelReply,
    },
    {
      method: 'GET',
      path: `${path}/ready`,
      summary: `Whether a live node serves the model${of}`,
      security: 'optionalKey',
      reply: ModelReadyReply,
    },
    {
      method: 'POST',
      path: `${path}/infer`,
      summary: `Run a model${of} (Open Inference Protocol)`,
      security: 'key',
      body: InferRequest,
      reply: InferResponse,
      isJob: true,
      hasBinary: true,
    },
  ]
}

/** A Hono app whose only content is the description of the real one's routes. */
export function describeApi(schemas: NamedSchemas): Hono {
  const app = new Hono()
  for (const operation of OPERATIONS) {
    app.on(operation.method, [operation.path], describeRoute(describeOperation(operation, schemas)))
  }
  return app
}
