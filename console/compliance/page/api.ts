/** Calls the HTTP API with one tenant's key. The key exists only in this closure. */
import type { z } from 'zod'
import { ProblemReply } from '#shared/api/problem.ts'
import { AppError, toAppError } from '#shared/base/errors.ts'
import { parseStrict } from '#shared/base/strict-json.ts'

const TIMEOUT_MS = 20_000
const EXPORT_TIMEOUT_MS = 120_000

export type Api = ReturnType<typeof createApi>

export interface Call {
  readonly method: 'POST' | 'PUT' | 'DELETE'
  readonly path: string
  readonly body?: unknown
}

/** @param onRefused called when the server rejects the key */
export function createApi(key: string, onRefused: () => void) {
  const call = async (path: string, init: RequestInit, timeoutMs = TIMEOUT_MS) => {
    const timeout = AbortSignal.timeout(timeoutMs)
    const signal = init.signal ? AbortSignal.any([timeout, init.signal]) : timeout
    const headers = new Headers(init.headers)
    headers.set('authorization', `Bearer ${key}`)
    const response = await fetch(path, {
      ...init,
      headers,
      signal,
      credentials: 'omit',
      cache: 'no-store',
    }).catch((cause: unknown) => {
      throw unreachable(cause, init.signal ?? undefined)
    })
    if (response.ok) return response
    if (response.status === 401) onRefused()
    throw await readProblem(response)
  }
  return {
    async get<T>(path: string, schema: z.ZodType<T>, signal?: AbortSignal): Promise<T> {
      return parse(await readJson(await call(path, signal ? { signal } : {})), schema, path)
    },
    async send<T>({ method, path, body }: Call, schema: z.ZodType<T>): Promise<T> {
      const init: RequestInit = { method }
      if (body !== undefined) {
        init.body = JSON.stringify(body)
        init.headers = { 'content-type': 'application/json' }
      }
      return parse(await readJson(await call(path, init)), schema, path)
    },
    /** Gives the bytes unchanged, for a download. */
    fetchFile: async (path: string) => (await call(path, {}, EXPORT_TIMEOUT_MS)).blob(),
  }
}

async function readJson(response: Response): Promise<unknown> {
  const text = await response.text()
  try {
    return text === '' ? null : parseStrict(text)
  } catch (cause) {
    const { detail } = toAppError(cause)
    throw new AppError('internal', `The server's answer could not be read: ${detail}`, { cause })
  }
}

function parse<T>(value: unknown, schema: z.ZodType<T>, path: string): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const [fault] = parsed.error.issues
  const where = fault?.path.join('.') ?? ''
  throw new AppError(
    'internal',
    `The server's answer to ${path} does not have the expected form (${where}: ${fault?.message ?? ''}). Reload the page; it may be older than the server.`,
  )
}

async function readProblem(response: Response): Promise<AppError> {
  const body = ProblemReply.safeParse(await response.json().catch(() => null))
  if (!body.success) {
    return new AppError('internal', `The server answered ${response.status} without a reason.`)
  }
  const { code, detail, rule, needed, errors } = body.data
  return new AppError(code, detail, {
    meta: {
      ...(rule === undefined ? {} : { rule }),
      ...(needed === undefined ? {} : { needed }),
      ...(errors === undefined ? {} : { errors }),
    },
  })
}

function unreachable(cause: unknown, signal: AbortSignal | undefined): AppError {
  if (signal?.aborted === true)
    return new AppError('cancelled', 'Cancelled before the answer came.')
  const isLate = cause instanceof DOMException && cause.name === 'TimeoutError'
  const detail = isLate
    ? 'The server did not answer in time.'
    : 'The server could not be reached. Is this device online?'
  return new AppError('internal', detail, { cause })
}
