/** Nodes and the key that vouched for them, with the real code of hub, node and tenant. */
import { afterEach, describe, expect, it } from 'vitest'
import { randomBytes, TenantId } from '#shared/base/ids.ts'
import { createTenantCore } from '#worker/tenant/core.ts'
import { remote } from '#test/support/remote.ts'
import { startAnchoredHubs, type AnchoredHubs } from '#test/support/hub/anchored-hubs.ts'
import { until } from '#test/support/poll.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'

const tenant = TenantId.parse('hospitals')

let hubs: AnchoredHubs | undefined
afterEach(() => hubs?.close())

async function startVouched() {
  const storage = createSqliteStorage()
  const core = createTenantCore({ storage, nowMs: Date.now, random: randomBytes })
  const key = await core.keys.create({ tenant, scopes: ['node'], networks: ['hospitals-de'] })
  let isReachable = true
  hubs = await startAnchoredHubs(['frankfurt'], {
    openTenant: () => ({
      snapshot: () =>
        isReachable ? Promise.resolve(core.snapshot()) : Promise.reject(new Error('away')),
      quota: remote(core.quota),
    }),
  })
  const join = (voucher?: { tenant: TenantId; keyId: string }) =>
    hubs?.join({
      claim: 'DE',
      hub: 'frankfurt',
      oneWayMs: { frankfurt: 0 },
      ...(voucher === undefined ? {} : { voucher, networks: ['hospitals-de'] }),
    })
  const voucher = { tenant, keyId: key.id }
  const own = await join(voucher)
  const stranger = await join()
  const seen = () => hubs?.core('frankfurt').directory.standings() ?? []
  await until('both are there', () => seen().length === 2)
  return {
    core,
    keyId: key.id,
    /** A node that the Worker admits by a key that may be revoked. */
    enter: async () => (await join(voucher))?.state().nodeId,
    nodeId: own?.state().nodeId,
    strangerId: stranger?.state().nodeId,
    trusted: () =>
      seen()
        .filter(({ facts }) => facts.trust === 'verified')
        .map((n) => n.nodeId),
    ids: (): string[] => seen().map((node) => node.nodeId),
    reach: (is: boolean) => void (isReachable = is),
    rounds: (count: number) => new Promise((resolve) => setTimeout(resolve, count * 100)),
  }
}

describe('[A9] a node that a key vouched for', () => {
  it('is disconnected once the key is revoked, and other nodes stay', async () => {
    const { core, keyId, nodeId, strangerId, trusted, ids, rounds } = await startVouched()
    await rounds(3)
    expect(trusted()).toEqual([nodeId])
    core.keys.revoke(keyId)
    await until('sent away', () => nodeId !== undefined && !ids().includes(nodeId))
    expect(ids()).toContain(strangerId)
    // It reconnects without end with old admissions, so the hub itself asks at each entry.
    await rounds(10)
    expect(trusted()).toEqual([])
  })

  it('is not admitted by a revoked key, whatever admission it holds', async () => {
    const { core, keyId, strangerId, ids, enter, rounds } = await startVouched()
    core.keys.revoke(keyId)
    const late = await enter()
    await until('the first is sent away', () => ids().length === 1)
    await rounds(10)
    expect(ids()).toEqual([strangerId])
    expect(late).toBeDefined()
  })

  it('is not admitted while its tenant cannot be asked about the key', async () => {
    const { ids, enter, reach, rounds } = await startVouched()
    reach(false)
    const late = await enter()
    await rounds(5)
    expect(ids()).not.toContain(late)
    reach(true)
    await until('it is let in then', () => late !== undefined && ids().includes(late))
  })

  it('stays connected while its tenant cannot be asked about the key', async () => {
    const { nodeId, trusted, reach, rounds } = await startVouched()
    reach(false)
    await rounds(4)
    expect(trusted()).toEqual([nodeId])
  })
})
