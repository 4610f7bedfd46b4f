import { APIError } from 'openai'

/** The error that the official client throws. */
export async function apiFailure(call: Promise<unknown>): Promise<APIError> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error instanceof APIError) return error
  throw new Error(`expected an API error, got ${String(error)}`)
}
