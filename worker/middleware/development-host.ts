/** A development build answers only to names of this machine, so that a web page cannot reach it by rebinding DNS. */
import { createMiddleware } from 'hono/factory'
import { AppError } from '#shared/errors.ts'
import type { AppEnv } from '../context.ts'

declare const __SIMULATED_PLACES__: boolean

const LOCAL_HOSTS: readonly string[] = ['localhost', '127.0.0.1', '[::1]']

export const developmentHost = createMiddleware<AppEnv>(async (c, next) => {
  if (__SIMULATED_PLACES__) {
    const { hostname } = new URL(c.req.url)
    if (!LOCAL_HOSTS.includes(hostname)) {
      throw new AppError('forbidden', `A development build does not answer as ${hostname}.`)
    }
  }
  await next()
})
