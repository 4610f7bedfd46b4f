/** Runs the Worker's app in this process, over a real tenant core in memory and the hub, ledger and batch of a test. */
import { randomBytes, TenantId } from '#shared/base/ids.ts'
import { silentLog, type Log } from '#shared/base/log.ts'
import { createApp } from '#worker/app.ts'
import { createIsolate } from '#worker/isolate.ts'
import type { WorkerEnv } from '#worker/platform/config.ts'
import { sealKey } from '#worker/platform/key-seal.ts'
import { createTenantCore } from '#worker/tenant/core.ts'
import { createSqliteStorage } from './sqlite-storage.ts'
import { remote } from './remote.ts'
import { namespaceOf } from './worker-config.ts'

const SECRET = 'the secret of this app'
export const EXECUTION_CONTEXT = {
  waitUntil: () => {},
  passThroughOnException: () => {},
  props: {},
}

interface Objects {
  /** @default a hub that rejects every request */
  readonly hub?: object
  readonly tenant?: object
  readonly ledger?: object
  readonly batch?: object
  /** @default one that does not answer */
  readonly registry?: object
}

export function environmentOf(
  { hub, tenant = {}, ledger = {}, batch = {}, registry = {} }: Objects,
  vars: Partial<WorkerEnv> = {},
): WorkerEnv {
  const absent = { fetch: () => Promise.reject(new Error('there is no such object here')) }
  return {
    ASSETS: absent,
    HUB: namespaceOf(hub ?? absent),
    TENANT: namespaceOf(tenant),
    LEDGER: namespaceOf(ledger),
    BATCH: namespaceOf(batch),
    KERNELS: namespaceOf({}),
    REGISTRY: namespaceOf(registry),
    HUB_REGIONS: 'hub:any',
    JURISDICTION: 'any',
    INGRESS_COUNTRY: 'DE',
    HUB_ADDRESS: '',
    ADMISSION_SECRET: SECRET,
    ...vars,
  }
}

interface AppOptions extends Pick<Objects, 'hub' | 'batch'> {
  readonly log?: Log
  readonly vars?: Partial<WorkerEnv>
  /** Changes what the Worker calls on the tenant. @default the core itself */
  readonly tenantOf?: (tenant: object) => object
}

/** Needs `__SIMULATED_PLACES__`, which the build replaces and a test stubs as a global. */
export async function openApp({ hub, batch, log = silentLog, vars, tenantOf }: AppOptions = {}) {
  const nowMs = () => Date.now()
  const core = createTenantCore({ storage: createSqliteStorage(), nowMs, random: randomBytes })
  const { key } = await core.keys.create({ tenant: TenantId.parse('acme'), scopes: ['infer'] })
  const api = remote(core)
  const tenant = tenantOf?.(api) ?? api
  const env = environmentOf(
    {
      ...(hub === undefined ? {} : { hub }),
      ...(batch === undefined ? {} : { batch }),
      tenant,
    },
    vars,
  )
  const app = createApp({ ...createIsolate(), log })
  const authorization = `Bearer ${await sealKey(key, SECRET)}`
  const post = async (
    path: string,
    body: string,
    headers: Readonly<Record<string, string>> = {},
  ) => {
    const own = { authorization, 'content-type': 'application/json' }
    const init = { method: 'POST', body, headers: { ...own, ...headers } }
    return await app.request(`http://localhost${path}`, init, env, EXECUTION_CONTEXT)
  }
  return { core, post }
}
