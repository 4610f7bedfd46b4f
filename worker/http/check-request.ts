/** The checks of every request before its route. They are one middleware, because each one costs every request. */
import { createMiddleware } from 'hono/factory'
import type { AppEnv } from '#worker/gate/context.ts'
import { checkHost } from './host.ts'
import { checkHeaders, checkQuery } from './known-names.ts'
import { openCors } from './open-cors.ts'

/** Paths that pages of any origin may call, and whose queries are known. */
const API = /^\/v[12](?:\/|$)/

export const checkRequest = createMiddleware<AppEnv>(async (c, next) => {
  checkHost(c)
  const isApi = API.test(c.req.path)
  const preflight = isApi ? openCors(c) : undefined
  if (preflight !== undefined) return preflight
  checkHeaders(c)
  if (isApi) checkQuery(c)
  return await next()
})
