/** Entry point of the Worker: the HTTP handler and the Durable Object classes. */
import { createApp } from './app.ts'
import { createIsolate } from './isolate.ts'

export { Batch } from '#worker/jobs/batch.ts'
export { Hub } from './hub/hub.ts'
export { Kernels } from './kernels/kernels.ts'
export { Ledger } from './ledger/ledger.ts'
export { Registry } from './registry/registry.ts'
export { Tenant } from './tenant/tenant.ts'

const app = createApp(createIsolate())

export default { fetch: app.fetch } satisfies ExportedHandler<Env>
