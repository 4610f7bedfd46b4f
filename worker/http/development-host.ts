/** The host that a request names: one, well formed; in a development build a name of this machine. */
import { createMiddleware } from 'hono/factory'
import { AppError } from '#shared/base/errors.ts'
import type { AppEnv } from '#worker/gate/context.ts'

declare const __SIMULATED_PLACES__: boolean

const LOCAL_HOSTS: readonly string[] = ['localhost', '127.0.0.1', '[::1]']

/** A name or an IPv4 address, or an IPv6 address in brackets, each with a port or without (RFC 9110, 7.2). */
const HOST = /^(?:[\w.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i

/** A URL is made of it, and what cannot be read there would fail wherever that is first needed. */
export const oneHost = createMiddleware<AppEnv>(async (c, next) => {
  const host = c.req.header('host')
  if (!URL.canParse(c.req.url) || (host !== undefined && !HOST.test(host)))
    throw new AppError('invalid_request', 'The request must name one host, as `name:port`.')
  await next()
})

/** So that a web page cannot reach a development build by rebinding DNS. */
export const developmentHost = createMiddleware<AppEnv>(async (c, next) => {
  if (__SIMULATED_PLACES__) {
    const { hostname } = new URL(c.req.url)
    if (!LOCAL_HOSTS.includes(hostname)) {
      throw new AppError('forbidden', `A development build does not answer as ${hostname}.`)
    }
  }
  await next()
})
