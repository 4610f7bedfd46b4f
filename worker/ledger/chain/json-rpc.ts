/** JSON-RPC over HTTP to a chain's endpoint: one call, its result or its error; no retries, the Ledger's alarm is the retry. */
import { z } from 'zod'
import { AppError } from '#shared/base/errors.ts'

const TIMEOUT_MS = 10_000
const ANSWER_BYTES = 4 * 1024 * 1024

const Answer = z.union([
  z.object({
    error: z.object({ code: z.number(), message: z.string(), data: z.unknown().optional() }),
  }),
  z.object({ result: z.unknown() }),
])

/** An error that the endpoint itself answered; `data` carries a revert's bytes where there are some. */
export interface RpcError {
  readonly message: string
  readonly data: unknown
}

export type RpcAnswer =
  | { readonly ok: true; readonly result: unknown }
  | { readonly ok: false; readonly error: RpcError }

export interface JsonRpc {
  /** @throws {AppError} node_timeout or node_lost when the endpoint cannot be reached or answers no JSON-RPC */
  ask(method: string, params: readonly unknown[]): Promise<RpcAnswer>
  /** The result. @throws {AppError} also for an error that the endpoint answered */
  request(method: string, params: readonly unknown[]): Promise<unknown>
}

/** @param timeoutMs how long one call may take */
export function createJsonRpc(url: string, timeoutMs: number = TIMEOUT_MS): JsonRpc {
  const ask = async (method: string, params: readonly unknown[]): Promise<RpcAnswer> => {
    const text = await post(
      { url, timeoutMs },
      JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    )
    const answer = Answer.safeParse(parseJson(text))
    if (!answer.success)
      throw new AppError('node_lost', `${method}: the chain endpoint answered no JSON-RPC.`)
    if (!('error' in answer.data)) return { ok: true, result: answer.data.result }
    const { message, data } = answer.data.error
    return { ok: false, error: { message, data } }
  }
  return {
    ask,
    async request(method, params) {
      const answer = await ask(method, params)
      if (answer.ok) return answer.result
      throw new AppError(
        'node_lost',
        `${method}: the chain endpoint answered: ${answer.error.message}`,
      )
    },
  }
}

async function post(
  { url, timeoutMs }: { readonly url: string; readonly timeoutMs: number },
  body: string,
): Promise<string> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      signal: AbortSignal.timeout(timeoutMs),
    })
    const text = await response.text()
    if (text.length > ANSWER_BYTES)
      throw new AppError('too_large', 'The chain endpoint answered too much.')
    return text
  } catch (cause) {
    const isLate = cause instanceof DOMException && cause.name === 'TimeoutError'
    const code = isLate ? 'node_timeout' : 'node_lost'
    throw new AppError(code, 'The chain endpoint could not be reached.', { cause })
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
