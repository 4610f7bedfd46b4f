/** A hub that drains leaves the registry when it holds nothing any more, and not before. */
import { afterEach, describe, expect, it } from 'vitest'
import { silentLog } from '#shared/base/log.ts'
import { createHubCore, type HubCore } from '#worker/hub/core.ts'
import { HUB_SCHEMA } from '#worker/hub/schema.ts'
import { createKernelRegister } from '#worker/kernels/register.ts'
import { DOMAIN } from '#test/support/hub/hub.ts'
import { until } from '#test/support/poll.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'

const cores: HubCore[] = []
afterEach(async () => {
  for (const core of cores.splice(0)) await core.close()
})

/** Counts publications; each check of the publisher happens when `check` is called. */
async function drain({ receipts = 0, failures = 0 } = {}) {
  const storage = createSqliteStorage({ schema: HUB_SCHEMA })
  for (let n = 0; n < receipts; n += 1)
    storage.sql.exec("INSERT INTO outbox (names, size, receipts) VALUES ('t j id', 1, x'00')")
  const counts = { published: 0, left: 0 }
  let nowMs = 0
  let due: (() => void) | undefined
  const core = await createHubCore({
    name: 'eu-3',
    storage,
    domain: DOMAIN,
    manifests: [],
    registers: {
      home: createKernelRegister({
        storage: createSqliteStorage(),
        nowMs: Date.now,
        log: silentLog,
      }),
      others: [],
    },
    receivers: {
      record: () => Promise.reject(new Error('away')),
      accept: () => Promise.reject(new Error('away')),
    },
    openTenant: () => {
      throw new Error('no tenants here')
    },
    wake: () => {},
    now: Date.now,
    random: () => 0,
    log: silentLog,
    anchor: null,
    clockResolutionMs: 1,
    jurisdiction: 'any',
    isDraining: true,
    async publish() {
      counts.published += 1
      return { open: 1, nodes: 0, hasSeats: true, marks: [], marksRead: { epoch: '', at: 0 } }
    },
    async onDrained() {
      counts.left += 1
      if (counts.left <= failures) throw new Error('the registry is away')
    },
    clock: {
      nowMs: () => nowMs,
      after(delayMs, fire) {
        due = () => {
          nowMs += delayMs
          due = undefined
          fire()
        }
        return () => (due = undefined)
      },
    },
  })
  cores.push(core)
  const check = async () => {
    due?.()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return { counts, check, isStopped: () => due === undefined }
}

describe('[H7] a hub that drains', () => {
  it('leaves when it has neither nodes nor receipts, and publishes no more', async () => {
    const { counts, check, isStopped } = await drain()
    await check()
    await until('it publishes no more', isStopped)
    expect(counts).toEqual({ published: 1, left: 1 })
  })

  it('stays while it holds a receipt', async () => {
    const { counts, check } = await drain({ receipts: 1 })
    for (let n = 0; n < 40; n += 1) await check()
    expect(counts.left).toBe(0)
    expect(counts.published).toBeGreaterThan(1)
  })

  it('tries again when the registry has not heard it', async () => {
    const { counts, check, isStopped } = await drain({ failures: 1 })
    for (let n = 0; n < 40; n += 1) await check()
    await until('it publishes no more', isStopped)
    expect(counts).toEqual({ published: 2, left: 2 })
  })
})
