/** Our Worker, with a hub whose deliveries can be held back and let go. Everything else is as it is deployed. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { repositoryPath } from '#scripts/base/paths.ts'

/** `POST` holds deliveries back. */
export const HOLD = '/bench/hold'
/** `POST` lets them go, and answers once the outbox is empty. */
export const RELEASE = '/bench/release'
/** `GET` answers the number of receipts in the outbox. */
export const WAITING = '/bench/waiting'

const POLL_MS = 2

function source(worker: string): string {
  return `import worker, { Hub as OwnHub } from ${JSON.stringify(worker)}
export { Batch, Kernels, Ledger, Registry, Tenant } from ${JSON.stringify(worker)}

let gate = Promise.resolve()
let open = () => {}

const held = (tenants) => ({
  jurisdiction: (name) => held(tenants.jurisdiction(name)),
  getByName(name) {
    const tenant = tenants.getByName(name)
    const receipts = { record: async (group) => (await gate, tenant.receipts.record(group)) }
    return new Proxy(tenant, { get: (_, part) => (part === 'receipts' ? receipts : tenant[part]) })
  },
})

export class Hub extends OwnHub {
  constructor(ctx, env) {
    super(ctx, { ...env, TENANT: held(env.TENANT) })
  }

  hold() {
    gate = new Promise((resolve) => (open = resolve))
  }

  async release() {
    open()
    // The runtime's own call: the delivery that was held ends, and the next takes what came after it began.
    await this.alarm()
    await this.alarm()
    while ((await this.gauges()).outboxReceipts > 0) await scheduler.wait(${POLL_MS})
  }
}

export default {
  async fetch(request, env, ctx) {
    const { pathname } = new URL(request.url)
    if (!pathname.startsWith('/bench/')) return worker.fetch(request, env, ctx)
    const hub = env.HUB.getByName('hub-0')
    if (pathname === ${JSON.stringify(HOLD)}) await hub.hold()
    if (pathname === ${JSON.stringify(RELEASE)}) await hub.release()
    return Response.json((await hub.gauges()).outboxReceipts)
  },
}
`
}

/** Writes the entry of that Worker into a new folder. @returns its path */
export function writeHeldWorker(dir: string): string {
  mkdirSync(dir, { recursive: true })
  const entry = join(dir, 'index.js')
  writeFileSync(entry, source(repositoryPath('worker/index.ts')))
  return entry
}
