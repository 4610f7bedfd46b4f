/** The operator's side of the HTTP API: keys and policies. */
import { z } from 'zod'
import { CreatedKeyReply, KeysReply } from '#shared/api/keys.ts'
import { AppError, errorCode } from '#shared/base/errors.ts'
import { parseStrict } from '#shared/base/strict-json.ts'

export interface KeyRequest {
  readonly tenant: string
  readonly scopes: readonly string[]
  readonly networks?: readonly string[]
  readonly consumer?: string
}

export interface Operator {
  readonly key: string
  createKey(request: KeyRequest): Promise<{ id: string; key: string }>
  revokeKey(id: string): Promise<void>
  /** Ids of a tenant's keys that are not revoked. */
  activeKeys(tenant: string): Promise<readonly string[]>
}

export function createOperator(url: string, operatorKey: string): Operator {
  const call = (method: string, path: string, body?: unknown) =>
    callApi({ url, key: operatorKey, method, path, body })
  return {
    key: operatorKey,
    createKey: async (request) =>
      CreatedKeyReply.parse(await call('POST', '/v1/operator/keys', request)),
    revokeKey: async (id) => void (await call('DELETE', `/v1/operator/keys/${id}`)),
    async activeKeys(tenant) {
      const { keys } = KeysReply.parse(await call('GET', `/v1/operator/keys?tenant=${tenant}`))
      return keys.filter(({ revokedAtMs }) => revokedAtMs === null).map(({ id }) => id)
    },
  }
}

export interface ApiCall {
  readonly url: string
  readonly key: string
  readonly method: string
  readonly path: string
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** Calls the API with JSON. @throws {AppError} the problem that it answered with */
export async function callApi(call: ApiCall): Promise<unknown> {
  const response = await fetch(`${call.url}${call.path}`, {
    method: call.method,
    headers: {
      authorization: `Bearer ${call.key}`,
      'content-type': 'application/json',
      ...call.headers,
    },
    ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
    signal: AbortSignal.timeout(90_000),
  })
  const text = await response.text()
  const body: unknown = text === '' ? {} : parseStrict(text)
  if (response.ok) return body
  const { detail } = z.looseObject({ detail: z.string().default('') }).parse(body)
  throw new AppError(
    errorCode(body) ?? 'internal',
    `${call.method} ${call.path}: ${detail || response.status}`,
  )
}
