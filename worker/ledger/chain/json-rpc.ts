/** JSON-RPC over HTTP to a chain's endpoint, by viem's transport. It never retries: the Ledger's alarm does. */
import { http, TimeoutError } from 'viem'
import { z } from 'zod'
import { AppError } from '#shared/base/errors.ts'

const TIMEOUT_MS = 10_000
const ANSWER_BYTES = 4 * 1024 * 1024

/** `data` holds a revert's bytes, if there are some. */
const RpcError = z.object({ message: z.string(), data: z.unknown() })
export type RpcError = z.infer<typeof RpcError>

const Answer = z
  .object({ error: RpcError.nullish(), result: z.unknown() })
  .refine(({ error, result }) => Boolean(error) || result !== undefined)
type Answer = z.infer<typeof Answer>

export interface JsonRpc {
  /** @throws {AppError} node_timeout or node_lost when the endpoint cannot be reached or does not answer in JSON-RPC */
  ask(method: string, params: readonly unknown[]): Promise<Answer>
  /** @returns the result. @throws {AppError} as `ask` does, and node_lost for an error in the answer */
  request(method: string, params: readonly unknown[]): Promise<unknown>
}

/** @param timeoutMs how long one call may take */
export function createJsonRpc(url: string, timeoutMs: number = TIMEOUT_MS): JsonRpc {
  const bounds = { retryCount: 0, timeout: timeoutMs, maxResponseBodySize: ANSWER_BYTES }
  const endpoint = http(url, { ...bounds, raw: true })({})
  const ask = async (method: string, params: readonly unknown[]): Promise<Answer> => {
    const answer = Answer.safeParse(await endpoint.request({ method, params }).catch(throwLost))
    if (answer.success) return answer.data
    throw new AppError('node_lost', `${method}: the chain endpoint did not answer in JSON-RPC.`)
  }
  return {
    ask,
    async request(method, params) {
      const { error, result } = await ask(method, params)
      if (!error) return result
      throw new AppError('node_lost', `${method}: the chain endpoint answered: ${error.message}`)
    },
  }
}

/** viem's error stays the cause: its text names the endpoint, whose address may hold a key. */
function throwLost(cause: unknown): never {
  const code = cause instanceof TimeoutError ? 'node_timeout' : 'node_lost'
  throw new AppError(code, 'The chain endpoint could not be reached.', { cause })
}
