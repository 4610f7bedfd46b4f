/** Readiness by parts: the Worker's routes over a real ledger core and a chain that fails in every way. */
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { FaultCode } from '#shared/api/network.ts'
import { createLog } from '#shared/base/log.ts'
import { groupOf } from '#test/support/hub/receipts.ts'
import { CONSUMER, useLedgerBench } from '#test/support/storage/ledger.ts'
import { readExposition } from '#test/support/prometheus.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'
import { environmentOf, EXECUTION_CONTEXT } from '#test/support/worker-app.ts'
import { factsIn, nodeIn, summaryOf } from '#test/support/summary/summaries.ts'
import type { SummarisedNode } from '#worker/summary/summarise.ts'
import { packSummary } from '#worker/summary/summary-bytes.ts'
import { createApp } from '#worker/app.ts'
import { createIsolate } from '#worker/isolate.ts'
import type { LedgerChain } from '#worker/ledger/chain/chain.ts'
import type { LedgerCore } from '#worker/ledger/core.ts'
import { AppError } from '#shared/base/errors.ts'
import { ReadyReply } from '#shared/api/network.ts'

// The build replaces this name.
beforeAll(() => void vi.stubGlobal('__SIMULATED_PLACES__', false))

const NODE = nodeIn('DE')
const IN_QUARANTINE = nodeIn('DE', { facts: factsIn('DE', { quarantined: true }) })

const bench = useLedgerBench()
let nodes: readonly SummarisedNode[]
let lines: { readonly level: string; readonly event: string; readonly code?: string }[]

beforeEach(() => {
  nodes = [NODE]
  lines = []
})

function createDeployment(change: Partial<LedgerChain> = {}) {
  const log = createLog({ write: (line) => lines.push(JSON.parse(line) as never) })
  const chain = { ...bench.chain, ...change }
  const ledger = bench.start({ storage: createSqliteStorage(), chain, log })
  const hub = {
    gauges: async () => ({ jobs: {}, activeJobs: 0, waitingJobs: 0, outboxReceipts: 0 }),
  }
  return { ledger, get: createClient({ hub, ledger, registry: registryOf(nodes) }) }
}

/** A registry that one hub has published to. */
function registryOf(own: readonly SummarisedNode[]) {
  const summaries = [packSummary(summaryOf({ hub: 'hub-0', nodes: own }))]
  return { read: async () => ({ epoch: 'one', at: 1, isWhole: true, summaries, gone: [] }) }
}

function createClient({
  hub,
  ledger,
  registry,
}: {
  readonly hub: object
  readonly ledger: object
  readonly registry: object
}) {
  const address = '/dns4/hub.example/tcp/443/tls/ws'
  const env = environmentOf({ hub, ledger, registry }, { HUB_ADDRESS: address })
  const app = createApp(createIsolate(() => bench.nowMs))
  return async (path: string) => {
    const request = new Request(`http://localhost${path}`)
    Object.assign(request, { cf: { clientIp: '127.0.0.1:40000' } })
    const response = await app.fetch(request, env, EXECUTION_CONTEXT)
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.includes('json') === true
    const body = (isJson ? JSON.parse(text) : {}) as Record<string, unknown>
    return { status: response.status, body, text }
  }
}

async function steps(ledger: LedgerCore, count: number): Promise<void> {
  await ledger.accept(groupOf([{ receipt: await bench.maker.make(), consumer: CONSUMER }]), [])
  for (let i = 0; i < count; i += 1) {
    await ledger.tick()
    bench.chain.mine()
    bench.nowMs += 3_600_000
  }
}

async function readiness(get: ReturnType<typeof createClient>) {
  const { status, body } = await get('/v2/health/ready')
  return { status, ...ReadyReply.parse(body) }
}

const seen = (code: FaultCode): Partial<LedgerChain> => ({
  look: async () => ({ balanceWei: 0n, fault: { code, detail: `told by the test: ${code}` } }),
})

describe('a deployment', () => {
  it('is ready with a node, a hub, a ledger and a chain that accepts batches', async () => {
    const { get } = createDeployment()
    const { status, ready, parts } = await readiness(get)
    expect(status).toBe(200)
    expect(ready).toBe(true)
    expect(Object.values(parts).map((part) => part.ready)).toEqual([true, true, true, true])
  })

  it('is not ready without a node, and answers with a problem', async () => {
    for (const none of [[], [IN_QUARANTINE]]) {
      nodes = none
      const { get } = createDeployment()
      const { status, body } = await get('/v2/health/ready')
      expect(status).toBe(503)
      const part = { ready: false, detail: expect.stringMatching(/node/i) as string }
      expect(body).toMatchObject({ ready: false, code: 'no_capacity', parts: { nodes: part } })
      expect(body['parts']).toMatchObject({ hubs: { ready: true }, chain: { ready: true } })
    }
  })

  it('is not ready without a hub, and names it', async () => {
    const { ledger } = createDeployment()
    const hub = { identify: () => Promise.reject(new Error('overloaded')) }
    const registry = { read: () => Promise.reject(new Error('overloaded')) }
    const { parts } = await readiness(createClient({ hub, ledger, registry }))
    expect(parts.hubs).toEqual({ ready: false, detail: 'No answer from hub-0.' })
  })

  it('is not ready without its ledger, and still shows its network', async () => {
    const get = createClient({ hub: {}, ledger: {}, registry: registryOf([]) })
    expect((await readiness(get)).parts.ledger.ready).toBe(false)
    const { status, body } = await get('/v1/network')
    expect(status).toBe(200)
    expect(body['settlement']).toMatchObject({ faultCode: 'ledger.failed' })
  })
})

const unreachable = () => Promise.reject(new AppError('node_lost', 'It could not be reached.'))

describe('a fault of settlement', () => {
  it.each<[string, FaultCode, Partial<LedgerChain>]>([
    ['a dead chain', 'chain.unreachable', { look: unreachable, position: unreachable }],
    ['a poster without money', 'poster.broke', seen('poster.broke')],
    ['a contract that is not there', 'contract.missing', seen('contract.missing')],
    ['an endpoint of another chain', 'chain.other', seen('chain.other')],
    ['a poster that the contract does not know', 'poster.unknown', seen('poster.unknown')],
  ])('%s makes the chain not ready before anything is posted', async (_, code, change) => {
    const { get } = createDeployment(change)
    const { status, parts } = await readiness(get)
    expect(status).toBe(503)
    expect(parts).toMatchObject({ chain: { ready: false }, ledger: { ready: true } })
    const { body } = await get('/v1/network')
    const { detail: fault } = parts.chain
    expect(body['settlement']).toMatchObject({ isPosting: false, fault, faultCode: code })
    expect(parts.chain.detail).not.toContain('on our side')
    const metrics = readExposition((await get('/metrics')).text)
    const faults = metrics.get('littoral_settlement_fault')?.samples ?? []
    expect(faults.filter(({ value }) => value === 1).map(({ labels }) => labels)).toEqual([
      { ledger: 'any', code },
    ])
    const told = lines.filter(({ event }) => event === 'settlement.failed')
    expect(told).toMatchObject([{ level: 'error', code }])
  })

  it('is logged when the first receipt arrives, not when its batch is due', async () => {
    const { ledger } = createDeployment(seen('poster.broke'))
    await ledger.accept(groupOf([{ receipt: await bench.maker.make(), consumer: CONSUMER }]), [])
    await vi.waitFor(() =>
      expect(lines).toMatchObject([{ level: 'error', event: 'settlement.failed' }]),
    )
  })

  it('names a batch that the contract refuses', async () => {
    const { ledger, get } = createDeployment({
      estimate: async () => ({ revert: 'NoSuchPolicy()' }),
    })
    await steps(ledger, 3)
    const { parts } = await readiness(get)
    expect(parts.chain).toMatchObject({
      ready: false,
      detail: expect.stringContaining('NoSuchPolicy()') as string,
    })
  })

  it('a batch that always reverts is reported, retried ever less often, and forgotten once it settles', async () => {
    // The Ledger believes that the consumer can pay, but the chain disagrees.
    const { ledger, get } = createDeployment({
      account: async () => ({ balanceMicroUsd: 1_000n, batchLimitMicroUsd: 1_000n }),
      estimate: async () => ({ gas: 100_000n }),
    })
    bench.chain.accounts.set(CONSUMER, { balance: 0n, limit: 0n })
    await steps(ledger, 6)
    expect((await readiness(get)).parts.chain.detail).toMatch(/mined and reverted \d+ time/)
    const { revertedBatches } = await ledger.health()
    for (let i = 0; i < 50; i += 1) {
      await ledger.tick()
      bench.chain.mine()
      bench.nowMs += 10
    }
    expect((await ledger.health()).revertedBatches - revertedBatches).toBeLessThan(2)
    const { body } = await get('/v1/network')
    expect(body['settlement']).toMatchObject({ faultCode: 'batch.reverted' })
    bench.chain.accounts.set(CONSUMER, { balance: 10_000n, limit: 1_000n })
    for (let i = 0; i < 6; i += 1) {
      bench.nowMs += 3_600_000
      await ledger.tick()
      bench.chain.mine()
    }
    expect(await ledger.health()).toMatchObject({ fault: null, settledReceipts: 1 })
    expect((await readiness(get)).ready).toBe(true)
    expect(lines.map(({ event }) => event)).toContain('settlement.restored')
  })
})
