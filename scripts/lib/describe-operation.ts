/** One route as OpenAPI describes it: what every route has, said once. */
import { resolver, type describeRoute } from 'hono-openapi'
import type { z } from 'zod'
import { LIMITS } from '#shared/limits.ts'
import * as replies from '#worker/formats/replies.ts'

type Security = 'key' | 'optionalKey' | 'operator' | 'none'

export interface Operation {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly path: string
  readonly summary: string
  readonly security: Security
  readonly body?: z.ZodType
  readonly reply: z.ZodType
  /** One event, where the answer may be a stream of them. */
  readonly event?: z.ZodType
  readonly status?: number
  /** Whether a node answers: then policy, deadline, quota and idempotency apply, and the answer says who gave it. */
  readonly isJob?: boolean
  /** Whether bytes of tensors may follow the JSON, both ways. */
  readonly hasBinary?: boolean
  /** Members of the query, all texts. */
  readonly query?: Readonly<Record<string, string>>
}

const JOB_HEADERS = {
  'x-littoral-node': 'Peer id of the node that answered',
  'x-littoral-region': 'Its country, ISO 3166-1 alpha-2',
  'x-littoral-evidence': 'Evidence class and source, e.g. observed; source=edge',
  'x-littoral-receipt': 'Receipt id',
  'x-littoral-provider': 'webgpu, wasm or cpu',
  'x-littoral-adapter': 'What ran it; software adapters say so',
  'x-littoral-ignored':
    'Members of the body that were not known and had no effect; absent when there were none',
  'idempotency-replayed':
    '`true` when this is the kept answer of an earlier request with the same key',
  'ratelimit-policy': '"requests";q=<requests>;w=<seconds>: what the tenant may send in a window',
  ratelimit: '"requests";r=<requests left>;t=<seconds until the window ends>',
}

const EVERY_HEADER = {
  'x-request-id': 'Of this request; one sent along is kept',
  'x-littoral-policy': 'id@version of the policy that was applied, or none',
  'server-timing': 'Milliseconds: edge, queue, network, compute',
}

const JOB_PARAMETERS = [
  parameter('x-littoral-policy', 'Policy of the tenant; its default when absent'),
  parameter('x-littoral-residency', 'Countries and groups that narrow the policy: EU,CH'),
  parameter(
    'x-littoral-deadline-ms',
    'How long the caller waits; refused at once as deadline_unmeetable when no node can make it',
    { type: 'integer', minimum: 1, maximum: LIMITS.requestTimeoutMs },
  ),
  parameter(
    'idempotency-key',
    'However often a request is sent with one key, it is one job and one charge; kept for a day',
    { type: 'string', minLength: 1, maxLength: LIMITS.idempotencyKeyChars + 2 },
  ),
  parameter('traceparent', 'W3C trace context, which the node gets a child of'),
]

const BINARY_PARAMETER = parameter(
  'inference-header-content-length',
  'Length of the JSON in bytes, where bytes of tensors follow it',
  { type: 'integer', minimum: 1, maximum: LIMITS.requestBodyBytes },
)

const BYTES = { type: 'string', format: 'binary' } as const

/** The one shape of every error, which each operation refers to. */
export const PROBLEM_RESPONSE = {
  description: 'A problem (RFC 9457) with OpenAI’s `error` member',
  content: { 'application/problem+json': { schema: resolver(replies.ProblemReply) } },
}

/** Groups of routes, in the order of the page. */
export const TAGS: readonly { readonly name: string; readonly description: string }[] = [
  { name: 'OpenAI', description: 'What OpenAI’s clients call' },
  { name: 'Open Inference Protocol', description: 'What KServe’s and Triton’s clients call' },
  { name: 'Compute', description: 'Kernels, batches and sessions' },
  { name: 'Policies and receipts', description: 'Where jobs may run, and proof of where they did' },
  { name: 'Audit and compliance', description: 'The log, its proofs, and what the law asks for' },
  { name: 'Network', description: 'Hubs, nodes, settlement' },
  { name: 'Operator', description: 'Keys and quotas of tenants' },
]

export function describeOperation(operation: Operation): Parameters<typeof describeRoute>[0] {
  const { summary, reply, event, isJob = false, hasBinary = false, status = 200 } = operation
  return {
    summary,
    tags: [tagOf(operation.path)],
    security: SECURITY[operation.security],
    parameters: [
      ...(isJob ? JOB_PARAMETERS : []),
      ...(hasBinary ? [BINARY_PARAMETER] : []),
      ...Object.entries(operation.query ?? {}).map(([name, description]) => ({
        ...parameter(name, description),
        in: 'query' as const,
      })),
    ],
    ...requestBody(operation),
    responses: {
      [status]: {
        description: 'OK',
        headers: headers(isJob ? { ...EVERY_HEADER, ...JOB_HEADERS } : EVERY_HEADER),
        content: {
          'application/json': { schema: resolver(reply) },
          ...(event === undefined ? {} : { 'text/event-stream': { schema: resolver(event) } }),
          ...(hasBinary ? { 'application/octet-stream': { schema: BYTES } } : {}),
        },
      },
      default: { $ref: '#/components/responses/Problem' },
    },
  }
}

function requestBody({ body, hasBinary = false }: Operation) {
  if (body === undefined) return {}
  const content = {
    'application/json': { schema: resolver(body) },
    ...(hasBinary ? { 'application/octet-stream': { schema: BYTES } } : {}),
  }
  return { requestBody: { required: true, content } }
}

function tagOf(path: string): string {
  if (path.startsWith('/v2')) return 'Open Inference Protocol'
  const [, , first = ''] = path.split('/')
  if (first === 'operator') return 'Operator'
  if (path.endsWith('/proof')) return 'Audit and compliance'
  if (['compute', 'kernels', 'jobs', 'sessions'].includes(first)) return 'Compute'
  if (['policies', 'keys', 'receipts', 'earnings'].includes(first)) return 'Policies and receipts'
  if (['audit', 'compliance'].includes(first)) return 'Audit and compliance'
  return ['network', 'nodes'].includes(first) ? 'Network' : 'OpenAI'
}

const SECURITY: Readonly<Record<Security, Record<string, string[]>[]>> = {
  key: [{ key: [] }],
  optionalKey: [{}, { key: [] }],
  operator: [{ operator: [] }],
  none: [],
}

interface ParameterSchema {
  readonly type: 'string' | 'integer'
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
}

function parameter(
  name: string,
  description: string,
  schema: ParameterSchema = { type: 'string' },
) {
  return { in: 'header' as const, name, description, schema }
}

function headers(described: Readonly<Record<string, string>>) {
  return Object.fromEntries(
    Object.entries(described).map(([name, description]) => [
      name,
      { description, schema: { type: 'string' as const } },
    ]),
  )
}
