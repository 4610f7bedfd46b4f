/** The API as OpenAPI describes it: one entry a route, with the schemas that the Worker itself parses by. */
import { Hono } from 'hono'
import { describeRoute, resolver } from 'hono-openapi'
import type { z } from 'zod'
import { ReceiptDocument } from '#shared/receipt.ts'
import { Policy } from '#shared/policy.ts'
import { ChatCompletion, ChatCompletionChunk } from '#worker/formats/chat-answer.ts'
import { ChatRequest } from '#worker/formats/chat.ts'
import { Completion, CompletionChunk } from '#worker/formats/completions-answer.ts'
import { CompletionRequest } from '#worker/formats/completions.ts'
import { ComputeRequest, ComputeResponse } from '#worker/formats/compute.ts'
import { EmbeddingsRequest, EmbeddingsResponse } from '#worker/formats/embeddings.ts'
import { InferRequest, InferResponse } from '#worker/formats/oip.ts'
import * as replies from '#worker/formats/replies.ts'
import { AdmissionRequest } from '#worker/admission.ts'
import { NewKey } from '#worker/tenant/protocol.ts'

type Security = 'key' | 'optionalKey' | 'operator' | 'none'

interface Operation {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly path: string
  readonly summary: string
  readonly security: Security
  readonly body?: z.ZodType
  readonly reply: z.ZodType
  /** One event, where the answer may be a stream of them. */
  readonly event?: z.ZodType
  readonly status?: number
  /** Whether a node answers: then the policy headers apply, and the answer says who gave it. */
  readonly isJob?: boolean
}

const OPERATIONS: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v2',
    summary: 'What this server is (Open Inference Protocol)',
    security: 'none',
    reply: replies.ServerReply,
  },
  {
    method: 'GET',
    path: '/v2/health/live',
    summary: 'Whether the Worker runs',
    security: 'none',
    reply: replies.LiveReply,
  },
  {
    method: 'GET',
    path: '/v2/health/ready',
    summary: 'Whether a hub answers',
    security: 'none',
    reply: replies.ReadyReply,
  },
  {
    method: 'GET',
    path: '/v2/models/:model',
    summary: "A model's inputs, outputs and price",
    security: 'optionalKey',
    reply: replies.ModelReply,
  },
  {
    method: 'GET',
    path: '/v2/models/:model/ready',
    summary: 'Whether a live node serves the model',
    security: 'optionalKey',
    reply: replies.ModelReadyReply,
  },
  {
    method: 'POST',
    path: '/v2/models/:model/infer',
    summary: 'Run a model (Open Inference Protocol)',
    security: 'key',
    body: InferRequest,
    reply: InferResponse,
    isJob: true,
  },
  {
    method: 'GET',
    path: '/v1/models',
    summary: 'All models (OpenAI)',
    security: 'optionalKey',
    reply: replies.ModelsReply,
  },
  {
    method: 'POST',
    path: '/v1/chat/completions',
    summary: 'The next message of a conversation, whole or as server-sent events (OpenAI)',
    security: 'key',
    body: ChatRequest,
    reply: ChatCompletion,
    event: ChatCompletionChunk,
    isJob: true,
  },
  {
    method: 'POST',
    path: '/v1/completions',
    summary: 'A text continued, whole or as server-sent events (OpenAI)',
    security: 'key',
    body: CompletionRequest,
    reply: Completion,
    event: CompletionChunk,
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
    summary: 'Run a WGSL kernel over buffers',
    security: 'key',
    body: ComputeRequest,
    reply: ComputeResponse,
    isJob: true,
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
    summary: 'What a receipt key has earned: ?x=0x…&y=0x…',
    security: 'none',
    reply: replies.EarningsReply,
  },
  {
    method: 'GET',
    path: '/v1/network',
    summary: 'Hubs, live nodes at country level, settlement',
    security: 'none',
    reply: replies.NetworkReply,
  },
  {
    method: 'GET',
    path: '/v1/policies',
    summary: "The tenant's policies",
    security: 'key',
    reply: replies.PoliciesReply,
  },
  {
    method: 'PUT',
    path: '/v1/policies/:id',
    summary: 'Publish the next version of a policy; the id in the body may be left out',
    security: 'key',
    body: Policy.partial({ id: true }),
    reply: replies.PolicyReply,
  },
  {
    method: 'POST',
    path: '/v1/policies/:id/default',
    summary: 'Make a policy the one of requests that name none',
    security: 'key',
    reply: replies.DefaultPolicyReply,
  },
  {
    method: 'POST',
    path: '/v1/nodes/admission',
    summary: 'Admission token of a node; a key with scope node makes it a verified one',
    security: 'optionalKey',
    body: AdmissionRequest,
    reply: replies.AdmissionReply,
  },
  {
    method: 'POST',
    path: '/v1/operator/keys',
    summary: 'Make an API key, and its tenant when it is the first',
    security: 'operator',
    body: NewKey,
    reply: replies.CreatedKeyReply,
    status: 201,
  },
  {
    method: 'GET',
    path: '/v1/operator/keys',
    summary: "A tenant's keys: ?tenant=acme",
    security: 'operator',
    reply: replies.KeysReply,
  },
  {
    method: 'DELETE',
    path: '/v1/operator/keys/:id',
    summary: 'Revoke a key',
    security: 'operator',
    reply: replies.KeyReply,
  },
]

const JOB_HEADERS = {
  'x-littoral-node': 'Peer id of the node that answered',
  'x-littoral-region': 'Its country, ISO 3166-1 alpha-2',
  'x-littoral-evidence': 'Evidence class and source, e.g. observed; source=edge',
  'x-littoral-receipt': 'Receipt id',
  'x-littoral-provider': 'webgpu, wasm or cpu',
  'x-littoral-adapter': 'What ran it; software adapters say so',
}

const EVERY_HEADER = {
  'x-request-id': 'Of this request; one sent along is kept',
  'x-littoral-policy': 'id@version of the policy that was applied, or none',
  'server-timing': 'Milliseconds: edge, queue, network, compute',
}

const POLICY_PARAMETERS = [
  parameter('x-littoral-policy', 'Policy of the tenant; its default when absent'),
  parameter('x-littoral-residency', 'Countries and groups that narrow the policy: EU,CH'),
]

/** The one shape of every error, which each operation refers to. */
export const PROBLEM_RESPONSE = {
  description: 'A problem (RFC 9457) with OpenAI’s `error` member',
  content: { 'application/problem+json': { schema: resolver(replies.ProblemReply) } },
}

/** A Hono app whose only content is the description of the real one's routes. */
export function describeApi(): Hono {
  const app = new Hono()
  for (const operation of OPERATIONS) {
    app.on(operation.method, [operation.path], describeRoute(describe(operation)))
  }
  return app
}

function describe(operation: Operation): Parameters<typeof describeRoute>[0] {
  const { summary, body, reply, event, isJob = false, status = 200 } = operation
  return {
    summary,
    security: SECURITY[operation.security],
    ...(isJob ? { parameters: POLICY_PARAMETERS } : {}),
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content: { 'application/json': { schema: resolver(body) } },
          },
        }),
    responses: {
      [status]: {
        description: 'OK',
        headers: headers(isJob ? { ...EVERY_HEADER, ...JOB_HEADERS } : EVERY_HEADER),
        content: {
          'application/json': { schema: resolver(reply) },
          ...(event === undefined ? {} : { 'text/event-stream': { schema: resolver(event) } }),
        },
      },
      default: { $ref: '#/components/responses/Problem' },
    },
  }
}

const SECURITY: Readonly<Record<Security, Record<string, string[]>[]>> = {
  key: [{ key: [] }],
  optionalKey: [{}, { key: [] }],
  operator: [{ operator: [] }],
  none: [],
}

function parameter(name: string, description: string) {
  return { in: 'header' as const, name, description, schema: { type: 'string' as const } }
}

function headers(described: Readonly<Record<string, string>>) {
  return Object.fromEntries(
    Object.entries(described).map(([name, description]) => [
      name,
      { description, schema: { type: 'string' as const } },
    ]),
  )
}
