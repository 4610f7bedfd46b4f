/** The Registry Durable Object: one for each jurisdiction; a thin shell over `worker/summary/registry.ts`. */
import { DurableObject } from 'cloudflare:workers'
import {
  createRegistry,
  type MarksTold,
  type Reading,
  type RegistryApi,
} from '#worker/summary/registry.ts'

export class Registry extends DurableObject<Env> implements RegistryApi {
  readonly #registry = createRegistry({
    epoch: crypto.randomUUID(),
    storage: this.ctx.storage,
    nowMs: () => Date.now(),
  })

  async publish(summary: Uint8Array, told: MarksTold) {
    return this.#registry.publish(summary, told)
  }

  async leave(hub: string) {
    this.#registry.leave(hub)
  }

  async hubs() {
    return this.#registry.hubs()
  }

  async read(since: Reading | null) {
    return this.#registry.read(since)
  }
}
