/**
 * Lets pages of any origin call with their own key, and read and send all headers. Browsers never send cookies or
 * other credentials. It touches only the headers of the answer: no response is made before there is one.
 */
import type { AppContext } from '#worker/gate/context.ts'

const MAX_AGE_SECONDS = 86_400
const METHODS = 'GET,HEAD,PUT,POST,DELETE'

/** @returns the answer to a preflight; undefined for every other request */
export function openCors(c: AppContext): Response | undefined {
  const answerHeaders = c.get('answerHeaders')
  answerHeaders.set('access-control-allow-origin', '*')
  answerHeaders.set('access-control-expose-headers', '*')
  if (c.req.method !== 'OPTIONS') return undefined
  answerHeaders.set('access-control-max-age', String(MAX_AGE_SECONDS))
  answerHeaders.set('access-control-allow-methods', METHODS)
  const asked = c.req.header('access-control-request-headers')
  if (asked !== undefined) {
    answerHeaders.set('access-control-allow-headers', asked)
    answerHeaders.set('vary', 'access-control-request-headers')
  }
  return new Response(null, { status: 204 })
}
