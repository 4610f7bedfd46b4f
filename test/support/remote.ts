/** A Durable Object's core as its callers see it: every method of every room answers later. */
import type { Remote } from '#worker/protocols/tenant.ts'

export function remote<T extends object>(core: T): Remote<T> {
  const seen = new Proxy(core, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value === 'function')
        return async (...given: unknown[]): Promise<unknown> => Reflect.apply(value, target, given)
      return typeof value === 'object' && value !== null ? remote(value) : value
    },
  })
  return seen as unknown as Remote<T>
}
