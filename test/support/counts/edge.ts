/**
 * The whole edge in plain Node, counted: the Worker's app, the real Durable Objects, and real WebSockets to nodes in
 * another process. Import it only where `cloudflare:workers` has a stand-in (vitest.config.ts).
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { vi } from 'vitest'
import { z } from 'zod'
import type { Policy } from '#shared/law/policy.ts'
import { PolicyDraft } from '#shared/law/policy.ts'
import type { ObjectNamespace } from '#worker/platform/config.ts'
import { until } from '#test/support/poll.ts'
import { EXECUTION_CONTEXT } from '#test/support/worker-app.ts'
import type { TenantApi } from '#worker/protocols/tenant.ts'
import { createObjects, type ObjectClass, type Objects } from './objects.ts'
import { listen, type HubObject } from './sockets.ts'
import { holdTimers, type HeldTimers } from './held-timers.ts'
import type { Wish } from './nodes.ts'
import { spyOnRuntime } from './spies.ts'
import { createTally, type Counts, type Tally } from './tally.ts'

const MODEL = 'littoral-embed-400k'
/** A node takes eight jobs at once, so four take 32. */
const NODES = 4
const SECRET = 'the secret of this edge'
/** The one hub of the settings that tests have. */
const HUB = 'hub-0'
const TEXT = 'the door of the barn is open and the temperature falls, '.repeat(4)

export interface Load {
  readonly jobs: number
  /** So many are sent together, and run until the last of them has begun. */
  readonly inFlight: number
  /** How long they run, in the time of the alarms. */
  readonly takeMs: number
}

/** Counts of everything in workerd, and of the nodes. */
export interface BothCounts {
  readonly edge: Counts
  readonly nodes: Counts
}

export interface CountedEdge {
  /** Sends embeddings and delivers their receipts. @returns what that took */
  answer(load: Load): Promise<BothCounts>
  /** @returns what the work took */
  count(work: () => Promise<void>): Promise<BothCounts>
  close(): Promise<void>
}

export async function startCountedEdge(): Promise<CountedEdge> {
  const tally = createTally()
  spyOnRuntime(tally)
  // How many receipts come within a window, or how often a hub looks whether it is quiet, depends on the machine.
  const timers = holdTimers(/worker\/hub\/receipts\/(?:signing|delivery)\.ts$/)
  vi.stubGlobal('__SIMULATED_PLACES__', false)
  beginMinute()
  countLogLines(tally)
  const objects = createObjects(tally)
  const { app, env } = await loadWorker(objects)
  const hub = env.HUB.getByName(HUB) as HubObject
  const { apiKey } = await createTenant(env)
  const sockets = await listen(tally, hub)
  const dir = await mkdtemp(join(tmpdir(), 'littoral-counts-'))
  const { peerId } = await hub.status()
  const nodes = await startNodes({
    model: MODEL,
    nodes: NODES,
    dir,
    hub: `/ip4/127.0.0.1/tcp/${sockets.port}/ws`,
    hubPeerId: peerId,
  })
  await until('all nodes are at the hub', async () => (await hub.status()).nodes.length === NODES)
  const ask = async (): Promise<void> => {
    const body = JSON.stringify({ model: MODEL, input: TEXT })
    const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' }
    const request = new Request('http://edge/v1/embeddings', { method: 'POST', body, headers })
    const response = await app.fetch(request, env, EXECUTION_CONTEXT)
    const answer = await response.text()
    if (response.status !== 200) throw new Error(`${response.status}: ${answer}`)
  }
  const count = async (work: () => Promise<void>): Promise<BothCounts> => {
    await nodes.ask('reset')
    tally.reset()
    await work()
    return { edge: tally.read(), nodes: await nodes.ask('read') }
  }
  return {
    count,
    answer: ({ jobs, inFlight, takeMs }) =>
      count(async () => {
        for (let left = jobs; left > 0; left -= inFlight) {
          const together = Math.min(left, inFlight)
          const gathered = nodes.ask({ gather: together })
          const answered = Promise.all(Array.from({ length: together }, ask))
          await Promise.race([gathered, answered])
          await nodes.ask('open')
          await answered
          timers.pass(takeMs)
          await passingUntil(objects.pass(takeMs), timers)
        }
        await passingUntil(objects.settle('Hub'), timers)
      }),
    async close() {
      nodes.close()
      await sockets.close()
      await rm(dir, { recursive: true, force: true })
      vi.unstubAllGlobals()
      vi.restoreAllMocks()
    },
  }
}

/** Lets time pass until the work ends: a delivery pauses between its slices. */
async function passingUntil(work: Promise<void>, timers: HeldTimers): Promise<void> {
  let hasEnded = false
  const ended = work.finally(() => (hasEnded = true))
  while (!hasEnded) {
    timers.pass(1)
    await new Promise((turn) => setImmediate(turn))
  }
  await ended
}

/** Sets the edge's clock ahead to a whole minute: when one ends, each request in flight leases its share of the next. */
function beginMinute(): void {
  const now = Date.now
  const aheadMs = 60_000 - (now() % 60_000)
  vi.spyOn(Date, 'now').mockImplementation(() => now() + aheadMs)
}

/** Not a literal where it is imported: the file is of the Worker's runtime, whose types are not loaded here. */
const INDEX: string = '#worker/index.ts'

interface WorkerApp {
  fetch(request: Request, env: unknown, context: unknown): Promise<Response>
}

/** Loads the Worker: its app, and an environment in which each of its classes has its binding. */
async function loadWorker(objects: Objects) {
  const { default: app, ...classes } = (await import(INDEX)) as { default: WorkerApp }
  const { environmentOf } = await import('#test/support/worker-app.ts')
  const env: Record<string, unknown> = {}
  const bindings = Object.entries(classes as Readonly<Record<string, ObjectClass>>).map(
    ([name, create]) => [name.toUpperCase(), objects.namespace(name, create, env)],
  )
  const bound = {
    ...environmentOf({}, { ADMISSION_SECRET: SECRET }),
    ...(Object.fromEntries(bindings) as Readonly<Record<'HUB' | 'TENANT', ObjectNamespace>>),
    // Receipts are signed for a chain; without an address of one, nothing is posted.
    CHAIN_RPC: '',
    CHAIN_ID: '31337',
    SETTLEMENT_ADDRESS: `0x${'11'.repeat(20)}`,
    BATCH_SECONDS: '60',
  }
  Object.assign(env, bound)
  return { app, env: bound }
}

async function createTenant({ TENANT }: Awaited<ReturnType<typeof loadWorker>>['env']) {
  const { TenantId } = await import('#shared/base/ids.ts')
  const { completePolicy } = await import('#shared/law/policy-draft.ts')
  const { sealKey } = await import('#worker/platform/key-seal.ts')
  const tenant = TENANT.getByName('acme') as TenantApi
  const { key } = await tenant.keys.create({
    tenant: TenantId.parse('acme'),
    scopes: ['infer'],
    consumer: `0x${'22'.repeat(20)}`,
  })
  const draft = { id: 'open-eu', compute: { allow: ['EU'] }, dataClass: 'public' }
  const policy: Policy = completePolicy(PolicyDraft.parse(draft))
  await tenant.policies.publish(policy)
  await tenant.policies.setDefault(policy.id)
  return { apiKey: await sealKey(key, SECRET) }
}

function countLogLines(tally: Tally): void {
  const count = (line: unknown) => {
    const { level, event } = z
      .looseObject({ level: z.string(), event: z.string() })
      .parse(JSON.parse(String(line)))
    tally.add('log lines', `${level} ${event}`)
  }
  vi.stubGlobal('console', { ...console, log: count, error: count })
}

interface Nodes {
  ask(wish: Wish): Promise<Counts>
  close(): void
}

async function startNodes(options: object): Promise<Nodes> {
  const script = fileURLToPath(new URL('nodes.ts', import.meta.url))
  const child = fork(script, [JSON.stringify(options)], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
  })
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the nodes ended with ${code}`)
  })
  ended.catch(() => {})
  await Promise.race([once(child, 'message'), ended])
  return {
    async ask(wish) {
      const answer = once(child, 'message')
      child.send(wish)
      const [counts] = await Promise.race([answer, ended])
      return counts as Counts
    },
    close: () => child.disconnect(),
  }
}
