/** Checks the `host` header: exactly one, well formed, and in a development build a local name. */
import { AppError } from '#shared/base/errors.ts'
import { LOOPBACK_HOSTS } from '#worker/edge/place.ts'
import type { AppContext } from '#worker/gate/context.ts'

declare const __SIMULATED_PLACES__: boolean

/** A name, an IPv4 address, or an IPv6 address in brackets, each with or without a port (RFC 9110, 7.2). */
const HOST = /^(?:[\w.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i

/** Checked here because later code builds URLs from it. */
export function checkHost(c: AppContext): void {
  const host = c.req.header('host')
  if (!URL.canParse(c.req.url) || (host !== undefined && !HOST.test(host)))
    throw new AppError('invalid_request', 'The request must name one host, as `name:port`.')
  checkDevelopmentHost(c)
}

/** Keeps web pages from reaching a development build by rebinding DNS. */
function checkDevelopmentHost(c: AppContext): void {
  if (__SIMULATED_PLACES__) {
    const { hostname } = new URL(c.req.url)
    if (!LOOPBACK_HOSTS.includes(hostname)) {
      throw new AppError('forbidden', `A development build does not answer as ${hostname}.`)
    }
  }
}
