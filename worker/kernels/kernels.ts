/** The Kernels Durable Object: one for each jurisdiction; a thin shell over `register.ts`. */
import { DurableObject } from 'cloudflare:workers'
import { createLog } from '#shared/base/log.ts'
import type { KernelRegisterApi, KernelReport } from '#worker/protocols/kernels.ts'
import { createKernelRegister } from './register.ts'

export class Kernels extends DurableObject<Env> implements KernelRegisterApi {
  readonly #register = createKernelRegister({
    storage: this.ctx.storage,
    nowMs: () => Date.now(),
    log: createLog({}, { kernels: this.ctx.id.name }),
  })

  report(reports: readonly KernelReport[], since: number) {
    return this.#register.report(reports, since)
  }

  bans(since: number) {
    return this.#register.bans(since)
  }
}
