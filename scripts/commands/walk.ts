/**
 * `node scripts/commands/walk.ts`: the way of a chat request through the Worker, from its route to the hub, as rooms that
 * are entered. A return is an entry into a room that the request had left. `--files` tells it by files, `--all` from the
 * socket on.
 */
import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { dirname, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { silentLog } from '#shared/base/log.ts'
import { TenantId, randomBytes } from '#shared/base/ids.ts'
import { repositoryPath } from '#scripts/base/paths.ts'
import { addSteps, STEP } from '#scripts/house/steps.ts'

const { values } = parseArgs({
  options: { files: { type: 'boolean' }, all: { type: 'boolean' }, json: { type: 'boolean' } },
})
const SECRET = 'of this walk only'

const entered: string[] = []
let isWalking = false
Object.assign(globalThis, {
  __SIMULATED_PLACES__: false,
  [STEP]: (path: string) => {
    if (isWalking) entered.push(values.files === true ? path : dirname(path))
  },
})

registerHooks({
  load(url, context, next) {
    const path = url.startsWith('file:') ? relative(repositoryPath('.'), fileURLToPath(url)) : ''
    if (!/^worker\/.*\.ts$/.test(path)) return next(url, context)
    const source = addSteps(path, readFileSync(repositoryPath(path), 'utf8'))
    return { format: 'module-typescript', source, shortCircuit: true }
  },
})

const way = await walkChat()
const begin = values.all === true ? 0 : way.findIndex((place) => place.startsWith('worker/api/'))
const steps = way.slice(begin).filter((place, index, rest) => place !== rest[index - 1])
const rooms = new Set(steps)
const returns = steps.length - rooms.size
if (values.json === true) console.log(JSON.stringify({ rooms: rooms.size, returns, steps }))
else console.log(`${steps.join(' → ')}\n${rooms.size} rooms, ${returns} returns`)

/** A second request, when the isolate knows the key. */
async function walkChat(): Promise<string[]> {
  const { createApp } = await import('#worker/app.ts')
  const { createIsolate } = await import('#worker/isolate.ts')
  const { sealKey } = await import('#worker/platform/key-seal.ts')
  const { createTenantCore } = await import('#worker/tenant/core.ts')
  const { createSqliteStorage } = await import('#test/support/sqlite-storage.ts')
  const { asPolicy } = await import('#test/support/hub/as-policy.ts')
  const nowMs = () => Date.now()
  const core = createTenantCore({ storage: createSqliteStorage(), nowMs, random: randomBytes })
  const { key } = await core.keys.create({ tenant: TenantId.parse('walker'), scopes: ['infer'] })
  core.policies.publish(asPolicy({ id: 'default', compute: { allow: ['DE'] }, retentionDays: 7 }))
  /** What another object does is not on the way. */
  const elsewhere = <T>(work: () => T): Promise<T> => {
    const was = isWalking
    isWalking = false
    const done = work()
    isWalking = was
    return Promise.resolve(done)
  }
  const tenant = {
    snapshot: () => elsewhere(() => core.snapshot()),
    quota: {
      leaseRequests: () => elsewhere(() => core.quota.leaseRequests()),
      leaseSpend: (wanted: number) => elsewhere(() => core.quota.leaseSpend(wanted)),
    },
    keys: { noteUse: () => Promise.resolve() },
    log: { recordRefusals: () => Promise.resolve() },
  }
  const hub = {
    fetch() {
      isWalking = false
      return Promise.resolve(new Response('{}', { status: 503 }))
    },
  }
  const holding = (object: unknown) => ({
    getByName: () => object,
    jurisdiction: () => holding(object),
  })
  const env = {
    ASSETS: hub,
    HUB: holding(hub),
    TENANT: holding(tenant),
    LEDGER: holding({}),
    BATCH: holding({}),
    KERNELS: holding({}),
    HUBS: 'hub-0:any',
    JURISDICTION: 'any',
    INGRESS_COUNTRY: 'DE',
    HUB_ADDRESS: '',
    ADMISSION_SECRET: SECRET,
  }
  const app = createApp({ ...createIsolate(nowMs), log: silentLog })
  const headers = {
    authorization: `Bearer ${await sealKey(key, SECRET)}`,
    'content-type': 'application/json',
  }
  const messages = [{ role: 'user', content: 'Is the pump well?' }]
  const body = JSON.stringify({ model: 'littoral-chat-2m', messages, temperature: 0.5 })
  const context = { waitUntil: () => {}, passThroughOnException: () => {}, props: {} }
  const send = () =>
    app.request(
      'http://localhost/v1/chat/completions',
      { method: 'POST', body, headers },
      env,
      context,
    )
  await send()
  entered.length = 0
  isWalking = true
  await send()
  isWalking = false
  return entered
}
