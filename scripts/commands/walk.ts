/**
 * `node scripts/commands/walk.ts`: prints the rooms that a chat request enters in the Worker, from its route to the hub. A
 * return is an entry into a room that the request had left. `--files` prints files instead of rooms, `--all` starts at the
 * socket.
 */
import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { dirname, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { repositoryPath } from '#scripts/base/paths.ts'
import { addSteps, STEP } from '#scripts/house/steps.ts'

const { values } = parseArgs({
  options: { files: { type: 'boolean' }, all: { type: 'boolean' }, json: { type: 'boolean' } },
})

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

await walkChat()
const begin =
  values.all === true ? 0 : entered.findIndex((place) => place.startsWith('worker/api/'))
const steps = entered.slice(begin).filter((place, index, rest) => place !== rest[index - 1])
const rooms = new Set(steps)
const returns = steps.length - rooms.size
if (values.json === true) console.log(JSON.stringify({ rooms: rooms.size, returns, steps }))
else console.log(`${steps.join(' → ')}\n${rooms.size} rooms, ${returns} returns`)

/** Follows the second request: the isolate knows the key by then. */
async function walkChat(): Promise<void> {
  // Imported once the hooks are in place.
  const { openApp } = await import('#test/support/worker-app.ts')
  const { asPolicy } = await import('#test/support/hub/as-policy.ts')
  const hub = {
    fetch() {
      isWalking = false
      return Promise.resolve(new Response('{}', { status: 503 }))
    },
  }
  const { core, post } = await openApp({ hub, tenantOf: withoutSteps })
  core.policies.publish(asPolicy({ id: 'default', compute: { allow: ['DE'] }, retentionDays: 7 }))
  const messages = [{ role: 'user', content: 'Is the pump well?' }]
  const body = JSON.stringify({ model: 'littoral-chat-2m', messages, temperature: 0.5 })
  const send = () => post('/v1/chat/completions', body)
  await send()
  entered.length = 0
  isWalking = true
  await send()
  isWalking = false
}

/** The tenant's own code, which is no step of the Worker, is not recorded. */
function withoutSteps(tenant: object): object {
  return new Proxy(tenant, {
    get(_, name) {
      const found: unknown = Reflect.get(tenant, name)
      if (typeof found === 'object' && found !== null) return withoutSteps(found)
      if (typeof found !== 'function') return found
      return async (...args: unknown[]): Promise<unknown> => {
        const was = isWalking
        isWalking = false
        const answer: unknown = Reflect.apply(found, tenant, args)
        isWalking = was
        return answer
      }
    },
  })
}
