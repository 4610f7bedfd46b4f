/** Operations of the API for the OpenAPI document: one entry for each route, with the schemas that the Worker parses with. */
import { Hono } from 'hono'
import { describeRoute } from 'hono-openapi'
import { z } from 'zod'
import { PublicChain } from '#shared/api/network.ts'
import { EvidenceRecord } from '#shared/place/evidence.ts'
import { ReceiptDocument } from '#shared/receipt/receipt.ts'
import { ChatCompletion, ChatCompletionChunk } from '#worker/api/openai/chat-answer.ts'
import { ChatRequest } from '#worker/api/openai/chat.ts'
import { Completion, CompletionChunk } from '#worker/api/openai/completions-answer.ts'
import { CompletionRequest } from '#worker/api/openai/completions.ts'
import { ComputeRequest, ComputeResponse } from '#worker/api/compute/compute.ts'
import { EmbeddingsRequest, EmbeddingsResponse } from '#worker/api/openai/embeddings.ts'
import { LibraryRequest, LibraryResponse } from '#worker/api/compute/library.ts'
import { InferRequest, InferResponse } from '#worker/api/oip/oip.ts'
import { ServerMessage } from '#worker/hub/session/messages.ts'
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
  EarningsReply,
  NetworkNodesReply,
  NetworkReply,
  ReadyReply,
} from '#shared/api/network.ts'
import { ACCOUNT_OPERATIONS } from './api-account.ts'
import { AUDIT_OPERATIONS } from './api-audit.ts'
import { JOB_OPERATIONS } from './api-jobs.ts'
import { AdmissionRequest } from '#worker/edge/admission.ts'
import { describeOperation, type Operation } from './describe-operation.ts'
import type { NamedSchemas } from './named-schemas.ts'

export const OPERATIONS: readonly Operation[] = [
  ...JOB_OPERATIONS,
  ...AUDIT_OPERATIONS,
  ...ACCOUNT_OPERATIONS,
  {
    method: 'GET',
    path: '/v1/sessions',
    summary:
      'Open a session: a WebSocket whose steps run in order on one node nearby. The client sends `open`, then `step`; the reply schema describes the messages from the server',
    security: 'key',
    query: { policy: 'Policy of the tenant', residency: 'Narrows the policy: CH,AT' },
    status: 101,
    reply: ServerMessage,
  },
  {
    method: 'GET',
    path: '/v2',
    summary: 'Name, version and extensions of the server (Open Inference Protocol)',
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
    summary: 'Whether nodes, hubs, ledger and chain are ready; 503 when one is not ready',
    security: 'none',
    reply: ReadyReply,
  },
  ...modelOperations('/v2/models/:model', ''),
  ...modelOperations('/v2/models/:model/versions/:version', ', of one version'),
  {
    method: 'GET',
    path: '/v1/models',
    summary: 'List all models (OpenAI), with the nodes that have them loaded',
    security: 'optionalKey',
    reply: ModelsReply,
  },
  {
    method: 'GET',
    path: '/v1/models/:model',
    summary: 'Get one model (OpenAI), with the nodes that have it loaded',
    security: 'optionalKey',
    reply: ListedModelReply,
  },
  {
    method: 'POST',
    path: '/v1/chat/completions',
    summary: 'Create a chat completion, whole or as server-sent events (OpenAI)',
    security: 'key',
    body: ChatRequest,
    reply: ChatCompletion,
    otherMedia: { 'text/event-stream': ChatCompletionChunk },
    isJob: true,
  },
  {
    method: 'POST',
    path: '/v1/completions',
    summary: 'Create a text completion, whole or as server-sent events (OpenAI)',
    security: 'key',
    body: CompletionRequest,
    reply: Completion,
    otherMedia: { 'text/event-stream': CompletionChunk },
    isJob: true,
  },
  {
    method: 'POST',
    path: '/v1/embeddings',
    summary: 'Create embeddings of texts (OpenAI)',
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
    summary: 'List the kernels of the library: inputs, parameters, limits, tolerance, price',
    security: 'optionalKey',
    reply: KernelsReply,
  },
  {
    method: 'GET',
    path: '/v1/receipts/:id',
    summary: 'Get a receipt of this tenant, with its settlement',
    security: 'key',
    reply: ReceiptDocument,
  },
  {
    method: 'GET',
    path: '/v1/earnings',
    summary: 'Get the earnings of a receipt key',
    security: 'none',
    query: { x: 'Its x, 0x and 64 hex digits', y: 'Its y' },
    reply: EarningsReply,
  },
  {
    method: 'GET',
    path: '/v1/nodes/:id/evidence',
    summary: "Get the evidence for a connected node's place",
    security: 'key',
    reply: EvidenceRecord,
  },
  {
    method: 'GET',
    path: '/v1/chain',
    summary: 'Get the settlement chain, its contract, and a public endpoint to read them',
    security: 'none',
    reply: PublicChain,
  },
  {
    method: 'GET',
    path: '/v1/network',
    summary: 'Get hubs, counts of connected nodes by country, and the state of settlement',
    security: 'none',
    reply: NetworkReply,
  },
  {
    method: 'GET',
    path: '/v1/network/nodes',
    summary: 'List the connected nodes of one hub; `next` names the hub to ask next',
    security: 'none',
    query: { hub: 'Name of the hub; the first one if left out' },
    reply: NetworkNodesReply,
  },
  {
    method: 'POST',
    path: '/v1/nodes/admission',
    summary: 'Get an admission token for a node; a key with scope node makes it a verified node',
    security: 'optionalKey',
    body: AdmissionRequest,
    reply: AdmissionReply,
  },
]

/** Each of these paths may also name a version. */
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

/** Makes a Hono app that holds only the descriptions of the routes. */
export function describeApi(schemas: NamedSchemas): Hono {
  const app = new Hono()
  for (const operation of OPERATIONS) {
    app.on(operation.method, [operation.path], describeRoute(describeOperation(operation, schemas)))
  }
  return app
}
