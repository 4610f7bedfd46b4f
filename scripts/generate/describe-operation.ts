/** Describes one route for OpenAPI, with the parts that all routes share. */
import type { describeRoute } from 'hono-openapi'
import type { z } from 'zod'
import { LIMITS } from '#shared/base/limits.ts'
import { ProblemReply } from '#shared/api/problem.ts'
import type { NamedSchemas } from './named-schemas.ts'
import { REQUEST_TIMEOUT_MS } from '#worker/protocols/hub.ts'
import { IDEMPOTENCY_KEY_CHARS } from '#worker/gate/idempotency-key.ts'

type Security = 'key' | 'optionalKey' | 'operator' | 'none'

export interface Operation {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly path: string
  readonly summary: string
  readonly security: Security
  readonly body?: z.ZodType
  readonly reply: z.ZodType
  /** Media types of the reply. @default application/json */
  readonly media?: readonly string[]
  /**
   * Other media types that the caller can ask for. They are put in `x-other-media`: as content of the same status they
   * would make the reply of every generated client a union without common members.
   */
  readonly otherMedia?: Readonly<Record<string, z.ZodType>>
  readonly status?: number
  /** A node answers, so policy, deadline, quota and idempotency apply, and headers name the node. */
  readonly isJob?: boolean
  /** Bytes of tensors may follow the JSON of request and reply. */
  readonly hasBinary?: boolean
  /** Query parameters, all of them texts, and their descriptions. */
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
    'Unknown members of the body, which had no effect; absent when there were none',
  'idempotency-replayed':
    '`true` when this is the stored answer of an earlier request with the same key',
  'ratelimit-policy':
    '"requests";q=<requests>;w=<seconds>: the number of requests that the tenant may send in a window',
  ratelimit: '"requests";r=<requests left>;t=<seconds until the window ends>',
}

const EVERY_HEADER = {
  'x-request-id': 'Id of this request; an id that the client sent is kept',
  'x-littoral-policy': 'id@version of the applied policy, or none',
  'server-timing': 'Milliseconds: edge, queue, network, compute',
}

const JOB_PARAMETERS = [
  parameter('x-littoral-policy', "Policy of the tenant. Default: the tenant's default policy"),
  parameter('x-littoral-residency', 'Countries and groups that narrow the policy: EU,CH'),
  parameter(
    'x-littoral-deadline-ms',
    'How long the caller waits; refused at once with deadline_unmeetable when no node can meet it',
    { type: 'integer', minimum: 1, maximum: REQUEST_TIMEOUT_MS },
  ),
  parameter(
    'idempotency-key',
    'Repeated requests with the same key are one job and one charge; kept for a day',
    { type: 'string', minLength: 1, maxLength: IDEMPOTENCY_KEY_CHARS + 2 },
  ),
  parameter('traceparent', 'W3C trace context; the node gets a child of it'),
]

const BINARY_PARAMETER = parameter(
  'inference-header-content-length',
  'Length of the JSON in bytes, when bytes of tensors follow it',
  { type: 'integer', minimum: 1, maximum: LIMITS.requestBodyBytes },
)

/** The response of every error, which each operation refers to. */
export const problemResponse = (schemas: NamedSchemas) => ({
  description: 'A problem (RFC 9457) with OpenAI’s `error` member',
  content: {
    'application/problem+json': { schema: schemas.refer(ProblemReply, 'Problem') },
  },
})

/** Groups of routes, in the order in which the page shows them. */
export const TAGS: readonly { readonly name: string; readonly description: string }[] = [
  { name: 'OpenAI', description: 'Routes for OpenAI’s clients' },
  { name: 'Open Inference Protocol', description: 'Routes for KServe’s and Triton’s clients' },
  { name: 'Compute', description: 'Kernels, batches and sessions' },
  { name: 'Policies and receipts', description: 'Where jobs may run, and proof of where they ran' },
  { name: 'Audit and compliance', description: 'The log, its proofs, and reports for regulators' },
  { name: 'Network', description: 'Hubs, nodes, settlement' },
  { name: 'Operator', description: 'Keys and quotas of tenants' },
]

export function describeOperation(
  operation: Operation,
  schemas: NamedSchemas,
): Parameters<typeof describeRoute>[0] {
  const { summary, reply, isJob = false, hasBinary = false, status = 200 } = operation
  const { media = ['application/json'], otherMedia } = operation
  const schema = schemas.refer(reply, `${nameOf(operation)}Reply`)
  const others = Object.entries(otherMedia ?? {}).map(([type, each]) => [
    type,
    { schema: schemas.refer(each, `${nameOf(operation)}Other`) },
  ])
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
    ...requestBody(operation, schemas),
    responses: {
      [status]: {
        description: 'OK',
        headers: headers(isJob ? { ...EVERY_HEADER, ...JOB_HEADERS } : EVERY_HEADER),
        content: Object.fromEntries(media.map((type) => [type, { schema }])),
        ...(others.length > 0 ? { 'x-other-media': Object.fromEntries(others) } : {}),
      },
      default: PROBLEM,
    },
  }
}

const PROBLEM = { $ref: '#/components/responses/Problem' }

function requestBody(operation: Operation, schemas: NamedSchemas) {
  if (operation.body === undefined) return {}
  const schema = schemas.referBody(operation.body, `${nameOf(operation)}Body`)
  return { requestBody: { required: true, content: { 'application/json': { schema } } } }
}

/** `POST /v1/compute` → `PostV1Compute`. */
function nameOf({ method, path }: Operation): string {
  const words = [method.toLowerCase(), ...path.split(/[^A-Za-z0-9]+/)]
  return words.map((word) => word.slice(0, 1).toUpperCase() + word.slice(1)).join('')
}

function tagOf(path: string): string {
  if (path.startsWith('/v2')) return 'Open Inference Protocol'
  const [, , first = ''] = path.split('/')
  if (first === 'operator') return 'Operator'
  if (path.endsWith('/proof')) return 'Audit and compliance'
  if (['compute', 'kernels', 'jobs', 'sessions'].includes(first)) return 'Compute'
  if (['policies', 'keys', 'receipts', 'earnings', 'chain'].includes(first))
    return 'Policies and receipts'
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
