/**
 * The hub's gate for sessions, with real tenants and a controlled clock: what a hostile tenant can take of the hub and
 * of its quota.
 */
import { afterEach, describe, expect, it, vi } from 'vitest'
import { randomBytes, TenantId } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { silentLog } from '#shared/base/log.ts'
import { countryBit } from '#shared/law/region.ts'
import { encodeBase64 } from '#shared/base/base64.ts'
import { ServerMessage } from '#worker/hub/session/messages.ts'
import type { DispatchRequest, DispatchResult } from '#worker/protocols/hub.ts'
import { createSessionGate } from '#worker/hub/session/session-gate.ts'
import { createTenantCore } from '#worker/tenant/core.ts'
import { createCountedClock } from '#test/support/counted-clock.ts'
import { remote } from '#test/support/remote.ts'
import { QuotaChange } from '#worker/protocols/quota.ts'
import { kernelOutcome } from '#test/support/hub/outcome.ts'
import { until } from '#test/support/poll.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'
import { asPolicy } from '#test/support/hub/as-policy.ts'
import { SESSION_MESSAGE_BYTES, SESSION_STEPS_WAITING } from '#worker/hub/session/session.ts'
import { TENANT_SESSION_BYTES, TENANT_SESSIONS } from '#worker/hub/session/session-space.ts'
import { SESSION_UNREAD_BYTES, SESSION_UNREAD_MS } from '#worker/hub/session/unread.ts'
import { AUTH_CACHE_MS } from '#worker/protocols/tenant.ts'

const [acme, other] = [TenantId.parse('acme'), TenantId.parse('other')]
const MAIN = { id: 'main', compute: { allow: ['WORLD'] } }
const OPEN = JSON.stringify({
  type: 'open',
  kernel: { wgsl: 'x', entryPoint: 'main', workgroups: [1, 1, 1] },
  buffers: [
    { role: 'input', binding: 1, sizeBytes: 4 },
    { role: 'output', binding: 2, sizeBytes: 4 },
  ],
})
const step = (n: number, data = encodeBase64(new Uint8Array(4))) =>
  JSON.stringify({ type: 'step', step: n, inputs: [{ binding: 1, data }] })

/** The server's end of a WebSocket whose client only sends and never answers a close. */
function createSocket() {
  const listeners: ((event: { data: unknown }) => void)[] = []
  const sent: ServerMessage[] = []
  const closed: number[] = []
  return {
    sent,
    closed,
    say: (text: string) => listeners.forEach((listener) => listener({ data: text })),
    send: (text: string) => void sent.push(ServerMessage.parse(JSON.parse(text))),
    close: (code: number) => void closed.push(code),
    addEventListener(type: string, listener: (event: { data: unknown }) => void) {
      if (type === 'message') listeners.push(listener)
    },
  }
}

function answer({ work, units, priceMicroUsd }: DispatchRequest): DispatchResult {
  const returned = work.kind === 'kernel' ? work.buffers.filter((buffer) => buffer.return) : []
  return {
    payload: new Uint8Array(returned.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)),
    outcome: kernelOutcome(returned, { units, amountMicroUsd: String(units * priceMicroUsd) }),
  }
}

async function createHub(quota: object = {}, isStuck = false) {
  const clock = { nowMs: 86_400_000 * 20_000 }
  const nowMs = () => clock.nowMs
  const timers = createCountedClock()
  const make = () =>
    createTenantCore({ storage: createSqliteStorage(), nowMs, random: randomBytes })
  const cores = new Map([
    [acme, make()],
    [other, make()],
  ])
  const keys = new Map<TenantId, string>()
  const coreOf = (tenant: TenantId) => cores.get(tenant) ?? make()
  for (const [tenant, core] of cores) {
    keys.set(tenant, (await core.keys.create({ tenant, scopes: ['infer'] })).id)
    core.policies.publish(asPolicy(MAIN))
  }
  coreOf(acme).quota.set(QuotaChange.parse(quota))
  const jobs: DispatchRequest[] = []
  const gate = createSessionGate({
    async dispatch(request) {
      jobs.push(request)
      return isStuck ? new Promise<never>(() => {}) : answer(request)
    },
    openTenant: (tenant) => remote(coreOf(tenant)),
    nowMs,
    clock: timers,
    randomBytes,
    log: silentLog,
  })
  return {
    clock,
    timers,
    jobs,
    core: coreOf(acme),
    enter(tenant: TenantId) {
      const policy = coreOf(tenant)
        .snapshot()
        ?.policies.find(({ policy: { id } }) => id === MAIN.id)?.compiled
      if (policy === undefined) throw new Error('no policy')
      const socket = createSocket()
      gate.enter(socket, {
        requestId: 'req',
        tenant,
        keyId: keys.get(tenant) ?? '',
        consumer: null,
        policy,
        allowed: policy.compute,
        ingress: countryBit('DE'),
        traceparent: null,
      })
      return socket
    },
  }
}

/** A session with large answers, whose bytes may be acknowledged. */
const LARGE = JSON.stringify({
  ...(JSON.parse(OPEN) as object),
  buffers: [
    { role: 'input', binding: 1, sizeBytes: 4 },
    { role: 'state', binding: 0, data: encodeBase64(new Uint8Array(30_000)), return: true },
  ],
})

describe('the steps of a session', () => {
  it('[Q3] cost no more than the tenant may spend', async () => {
    const hub = await createHub({ spendMicroUsdPerDay: 2 })
    const socket = hub.enter(acme)
    socket.say(OPEN)
    for (let n = 1; n <= 5; n += 1) socket.say(step(n))
    await until('it is closed', () => socket.closed.length > 0)
    const price = hub.jobs.map(({ units, priceMicroUsd }) => units * priceMicroUsd)
    expect(price.reduce((sum, each) => sum + each, 0)).toBeLessThanOrEqual(2)
    expect(price.length).toBeGreaterThan(0)
    expect(socket.sent.at(-1)).toMatchObject({ error: { code: 'payment_required' } })
    expect(socket.closed).toEqual([1000])
  })

  it('[Q2] count as requests, and go on when the next minute begins', async () => {
    const hub = await createHub({ requestsPerMinute: 2 })
    const socket = hub.enter(acme)
    socket.say(OPEN)
    for (let n = 1; n <= 4; n += 1) socket.say(step(n))
    await until('a step is refused', () => socket.sent.at(-1)?.type === 'error')
    expect(hub.jobs).toHaveLength(2)
    expect(socket.sent.at(-1)).toMatchObject({ step: 3, error: { code: 'rate_limited' } })
    hub.clock.nowMs += 60_000
    socket.say(step(3))
    await until('it is answered', () => socket.sent.at(-1)?.type === 'result')
    expect(socket.sent.at(-1)).toMatchObject({ type: 'result', step: 3 })
  })

  it('take no more memory than the tenant’s share of the hub', async () => {
    const hub = await createHub({}, true)
    const data = 'A'.repeat(SESSION_MESSAGE_BYTES - 1_000)
    const socket = hub.enter(acme)
    socket.say(OPEN)
    let takenBytes = 0
    for (let n = 1; n <= SESSION_STEPS_WAITING && socket.sent.length < 2; n += 1) {
      socket.say(step(n, data))
      if (socket.sent.length < 2) takenBytes += data.length
    }
    expect(socket.sent.at(-1)).toMatchObject({ error: { code: 'rate_limited' } })
    expect(takenBytes).toBeLessThanOrEqual(TENANT_SESSION_BYTES)
    const neighbour = hub.enter(other)
    neighbour.say(OPEN)
    neighbour.say(step(1))
    expect(neighbour.sent).toEqual([expect.objectContaining({ type: 'opened' })])
  })
})

describe('a client that sends nothing', () => {
  it('is left after the idle time, counted from its last message, with one timer for all of them', async () => {
    const hub = await createHub()
    const socket = hub.enter(acme)
    hub.timers.advance(LIMITS.sessionIdleMs - 1)
    for (let message = 0; message < 20; message += 1)
      socket.say(JSON.stringify({ type: 'ack', received: 0 }))
    expect(hub.timers.timersSet).toBe(1)
    hub.timers.advance(LIMITS.sessionIdleMs - 1)
    expect(socket.closed).toEqual([])
    hub.timers.advance(1)
    expect(socket.closed).toEqual([4408])
    expect(hub.timers.timersOpen).toBe(0)
  })
})

describe('a client that does not read', () => {
  afterEach(() => void vi.useRealTimers())

  /** Steps as fast as they come, none of them acknowledged. */
  async function flood() {
    const hub = await createHub()
    vi.useFakeTimers()
    const socket = hub.enter(acme)
    socket.say(LARGE)
    for (let n = 1; n <= 20; n += 1) socket.say(step(n))
    await vi.advanceTimersByTimeAsync(10)
    return { hub, socket }
  }

  it('[SE8] gets no more steps computed than its unread limit allows, and is closed with that reason', async () => {
    const { hub, socket } = await flood()
    const sentBytes = JSON.stringify(socket.sent).length
    expect(hub.jobs.length).toBeGreaterThan(1)
    expect(sentBytes).toBeLessThan(SESSION_UNREAD_BYTES + 50_000)
    await vi.advanceTimersByTimeAsync(SESSION_UNREAD_MS)
    expect(socket.closed).toEqual([4413])
    expect(JSON.stringify(socket.sent).length).toBe(sentBytes)
  })

  it('[SE8] continues when it acknowledges, with or without a step', async () => {
    const { hub, socket } = await flood()
    for (let round = 0; round < 20 && hub.jobs.length < 20; round += 1) {
      const received = socket.sent.length
      socket.say(JSON.stringify({ type: 'ack', received }))
      await vi.advanceTimersByTimeAsync(10)
    }
    socket.say(
      JSON.stringify({ ...(JSON.parse(step(21)) as object), received: socket.sent.length }),
    )
    await vi.advanceTimersByTimeAsync(10)
    expect(socket.sent.filter(({ type }) => type === 'result').length).toBe(21)
    await vi.advanceTimersByTimeAsync(SESSION_UNREAD_MS)
    expect(socket.closed).toEqual([])
  })

  it('[SE8] cannot make errors pile up instead of answers', async () => {
    const hub = await createHub({}, true)
    const socket = hub.enter(acme)
    socket.say(OPEN)
    for (let round = 0; round < 1_000 && socket.closed.length === 0; round += 1)
      for (let n = 1; n <= SESSION_STEPS_WAITING + 2; n += 1) socket.say(step(n))
    expect(socket.closed).toEqual([4413])
    expect(JSON.stringify(socket.sent).length).toBeLessThan(SESSION_UNREAD_BYTES + 50_000)
  })

  it('[SE8] cannot acknowledge what was never sent', async () => {
    const hub = await createHub()
    const socket = hub.enter(acme)
    socket.say(OPEN)
    socket.say(JSON.stringify({ type: 'ack', received: 2 }))
    expect(socket.sent.at(-1)).toMatchObject({ error: { code: 'invalid_request' } })
    expect(socket.closed).toEqual([1000])
  })
})

describe('the session seats of a hub', () => {
  it('do not all go to one tenant', async () => {
    const hub = await createHub()
    for (let n = 0; n < TENANT_SESSIONS; n += 1) hub.enter(acme)
    expect(() => hub.enter(acme)).toThrow('sessions on this hub already')
    expect(hub.enter(other).closed).toEqual([])
  })

  it('are free again when a session ends, even if the client does not answer the close', async () => {
    const hub = await createHub()
    for (let n = 0; n < 3 * TENANT_SESSIONS; n += 1) {
      const socket = hub.enter(acme)
      socket.say('{')
      expect(socket.closed).toEqual([1000])
      socket.say(OPEN)
      expect(socket.sent).toHaveLength(1)
    }
  })
})

describe('a new version of a session’s policy', () => {
  it('[SE4] ends the session when it keeps records elsewhere than in this hub', async () => {
    const hub = await createHub()
    const socket = hub.enter(acme)
    socket.say(OPEN)
    socket.say(step(1))
    await until('it has run', () => hub.jobs.length === 1)
    hub.core.policies.publish(asPolicy({ ...MAIN, storage: 'eu' }))
    hub.clock.nowMs += AUTH_CACHE_MS
    socket.say(step(2))
    await until('it is closed', () => socket.closed.length > 0)
    expect(hub.jobs).toHaveLength(1)
    expect(socket.sent.at(-1)).toMatchObject({
      error: { code: 'residency_unsatisfiable', rule: 'storage.jurisdiction' },
    })
    expect(socket.closed).toEqual([1008])
  })
})
