/** The one error class and the one table of codes, shared by HTTP, the work protocol and the contracts. */

export const ERRORS = {
  invalid_request: refusal(400, 'The request is not valid'),
  context_length_exceeded: refusal(400, 'The prompt is longer than the context of the model'),
  unauthenticated: row(401, 'authentication_error', 'No valid API key', false),
  payment_required: row(402, 'insufficient_quota', 'The account cannot pay for this job', false),
  forbidden: row(403, 'permission_error', 'The key lacks the scope for this', false),
  model_not_found: refusal(404, 'No such model'),
  not_found: refusal(404, 'Not found'),
  method_not_allowed: refusal(405, 'The path does not support this method'),
  request_timeout: row(408, 'invalid_request_error', 'The request arrived too slowly', true),
  answer_not_kept: refusal(410, 'The answer to this idempotency key was not kept'),
  too_large: refusal(413, 'Too large'),
  unsupported_media_type: refusal(415, 'The body has an unsupported coding or type'),
  idempotency_key_reused: refusal(422, 'The idempotency key was used for another request'),
  residency_unsatisfiable: refusal(422, 'No place satisfies the policy'),
  residency_ingress_denied: refusal(422, 'The policy forbids this ingress'),
  upgrade_required: refusal(426, 'A newer protocol version is required'),
  rate_limited: row(429, 'rate_limit_error', 'Too many requests', true),
  cancelled: refusal(499, 'The caller cancelled the job'),
  internal: row(500, 'server_error', 'Internal error', true),
  node_lost: row(502, 'server_error', 'The node was lost during the job', true),
  file_corrupt: row(502, 'server_error', 'A model file does not match its manifest', true),
  hub_full: row(503, 'service_unavailable_error', 'The hub takes no more nodes', true),
  no_capacity: row(503, 'service_unavailable_error', 'No node available', true),
  deadline_unmeetable: row(503, 'service_unavailable_error', 'The deadline cannot be met', true),
  node_timeout: row(504, 'server_error', 'The node did not answer in time', true),
} as const

export type ErrorCode = keyof typeof ERRORS

/** One fault in a request: a JSON pointer to the value, and what is wrong with it. */
export interface FieldFault {
  readonly pointer: string
  readonly detail: string
}

/** Facts that travel with an error. All are safe to show to the caller, and none steers a job. */
export interface ErrorMeta {
  /** The rule that refused, e.g. `compute.allow`. */
  readonly rule?: string
  /** The condition that would have satisfied that rule, in words. */
  readonly needed?: string
  readonly errors?: readonly FieldFault[]
  readonly retryAfterSeconds?: number
  /** Number of nodes that each residency rule refused. */
  readonly refusals?: Readonly<Record<string, number>>
  /** Predicted time of the nearest node's answer. */
  readonly predictedMs?: number
  /** The rest of a quota. */
  readonly standing?: object
  /** Another hub that a refused node may try, and its peer id. */
  readonly next?: { readonly hub: string; readonly peerId: string }
  /** No later try to load this model on this node can succeed. */
  readonly isFinal?: boolean
}

/** Facts that every code may have. */
const FACTS = ['rule', 'errors'] as const
/** Facts that some codes may have besides. */
const MORE_FACTS = {
  forbidden: ['needed'],
  residency_unsatisfiable: ['needed', 'refusals'],
  residency_ingress_denied: ['needed', 'refusals'],
  rate_limited: ['retryAfterSeconds', 'standing'],
  file_corrupt: ['isFinal'],
  hub_full: ['next'],
  no_capacity: ['retryAfterSeconds', 'needed', 'isFinal'],
  deadline_unmeetable: ['retryAfterSeconds', 'predictedMs'],
} as const satisfies Partial<Record<ErrorCode, readonly (keyof ErrorMeta)[]>>
type MoreFacts = typeof MORE_FACTS

export type FactsOf<C extends ErrorCode> = Pick<
  ErrorMeta,
  (typeof FACTS)[number] | (C extends keyof MoreFacts ? MoreFacts[C][number] : never)
>

/** Keeps those facts of foreign metadata that the code may have. */
export function factsOf(code: ErrorCode, meta: unknown): ErrorMeta {
  if (typeof meta !== 'object' || meta === null) return {}
  const more: Partial<Record<ErrorCode, readonly string[]>> = MORE_FACTS
  const names: readonly string[] = [...FACTS, ...(more[code] ?? [])]
  return Object.fromEntries(Object.entries(meta).filter(([name]) => names.includes(name)))
}

export interface AppErrorOptions<C extends ErrorCode = ErrorCode> {
  readonly meta?: FactsOf<C>
  readonly cause?: unknown
}

/** The only error that Littoral throws on purpose. Test `code`, never `instanceof`: RPC loses the class. */
export class AppError<C extends ErrorCode = ErrorCode> extends Error {
  readonly code: C
  readonly detail: string
  readonly meta: ErrorMeta

  constructor(code: C, detail: string, options: AppErrorOptions<NoInfer<C>> = {}) {
    super(`${code}: ${detail}`, { cause: options.cause })
    this.name = 'AppError'
    this.code = code
    this.detail = detail
    this.meta = options.meta ?? {}
  }
}

/** The form of an error that crosses a process border. */
export interface WireError {
  readonly code: ErrorCode
  readonly detail: string
  readonly retryable: boolean
  readonly meta?: ErrorMeta | undefined
}

/** The code of anything thrown; undefined when it has none of ours. */
export function errorCode(error: unknown): ErrorCode | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  const { code } = error
  return typeof code === 'string' && Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : undefined
}

/** Turns anything thrown into an {@link AppError}; errors without a code of ours become `internal` with a generic text. */
export function toAppError(error: unknown): AppError {
  const code = errorCode(error)
  if (code === undefined)
    return new AppError('internal', 'Something failed on our side.', { cause: error })
  if (error instanceof AppError) return error
  const { detail, meta, message } = error as { detail?: string; meta?: ErrorMeta; message?: string }
  return new AppError(code, detail ?? message ?? ERRORS[code].title, {
    meta: meta ?? {},
    cause: error,
  })
}

export function toWireError(error: unknown): WireError {
  const { code, detail, meta } = toAppError(error)
  return { code, detail, retryable: ERRORS[code].retryable, meta }
}

/** RFC 9457 problem document with OpenAI's `error` member as an extension (https://www.rfc-editor.org/rfc/rfc9457). */
export function toProblem(error: unknown, requestId: string) {
  const { code, detail, meta } = toAppError(error)
  const { status, type, title } = ERRORS[code]
  const { rule, needed, errors } = meta
  return {
    type: `https://littoral.network/errors/${code}`,
    title,
    status,
    detail,
    code,
    requestId,
    rule,
    needed,
    errors,
    // OpenAI's clients show their callers this member only, so it repeats the rule.
    error: { message: detail, type, code, param: toParam(errors?.[0]?.pointer), rule, needed },
  }
}

/** Turns the JSON pointer `/messages/0/content` into OpenAI's `messages[0].content`. */
function toParam(pointer: string | undefined): string | null {
  if (pointer === undefined || pointer === '') return null
  const names = pointer
    .slice(1)
    .split('/')
    .map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'))
  return names
    .map((name, at) => (/^\d+$/.test(name) ? `[${name}]` : at === 0 ? name : `.${name}`))
    .join('')
}

/** An error whose detail and meta both name every fault. */
export function faultsError(
  faults: readonly FieldFault[],
  code: ErrorCode = 'invalid_request',
  cause?: unknown,
): AppError {
  const detail = faults.map((fault) => `${fault.pointer}: ${fault.detail}`).join('; ')
  return new AppError(code, detail, { meta: { errors: faults }, cause })
}

/** Throws when a condition fails that the surrounding code guarantees. For bugs only. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`invariant: ${message}`)
}

function row(status: number, type: string, title: string, retryable: boolean) {
  return { status, type, title, retryable } as const
}

function refusal(status: number, title: string) {
  return row(status, 'invalid_request_error', title, false)
}
