/** Kernels that hang devices, over real work streams: who still runs them, and what strangers cannot do. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { AppError } from '#shared/base/errors.ts'
import { HANG_RULE } from '#shared/kernels/rules.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { NodeError } from '#p2p/stream/wire-error.ts'
import { createHubBench, kernelRequest, type TestHubBench } from '#test/support/hub/hub.ts'
import { compiled } from '#test/support/hub/policies.ts'

const WORLD = compiled({ compute: { allow: ['WORLD'], deny: [] } })
const payload = new Uint8Array([1, 2, 3, 4])

let hub: TestHubBench
/** The lead of the hub's clock while a kernel hangs. */
let aheadMs = 0
beforeEach(async () => void (hub = await createHubBench([], () => Date.now() + aheadMs)))
afterEach(() => hub.close())

async function ask(): Promise<string> {
  return hub.ask(WORLD, payload).then(
    ({ outcome }) => outcome.nodeId,
    (error: AppError) => `${error.code} ${error.meta.rule ?? ''}`,
  )
}

/** A public node on which every kernel hangs. It leaves after reporting that. */
async function hang(reporter: string): Promise<void> {
  const node = await hub.join({
    country: 'DE',
    reporter,
    run() {
      aheadMs = LIMITS.kernelRunMs
      return Promise.reject(new AppError('node_timeout', 'Hung.'))
    },
  })
  expect(await ask()).toBe(`node_timeout ${HANG_RULE}`)
  aheadMs = 0
  await node.disconnect()
}

describe('a kernel that hangs devices', () => {
  it('[U11] is refused after reports from two strangers’ networks, and not after many from one', async () => {
    for (let node = 0; node < 4; node += 1) await hang('network-1')
    const third = await hub.join({ country: 'DE', reporter: 'network-3' })
    expect(await ask()).toBe(third.nodeId)
    await third.disconnect()
    // A node has completed the kernel by now, so two reports are not enough.
    await hang('network-4')
    await hang('network-2')
    await hub.join({ country: 'DE', reporter: 'network-5' })
    expect(await ask()).toBe('forbidden kernels.banned')
  })

  it('[U11] still runs on vouched nodes, and on no public one', async () => {
    await hang('network-1')
    await hang('network-2')
    const stranger = await hub.join({ country: 'DE' })
    expect(await ask()).toBe('forbidden kernels.banned')
    const vouched = await hub.join({ country: 'FR', trust: 'verified', reporter: 'customer' })
    for (let job = 0; job < 3; job += 1) expect(await ask()).toBe(vouched.nodeId)
    expect(stranger.ran).toEqual([])
  })

  it('[U11] is not given to the next node by a job that has already begun when it is banned', async () => {
    const begun = Promise.withResolvers<void>()
    const gate = Promise.withResolvers<void>()
    const dying = await hub.join({
      country: 'DE',
      reporter: 'network-1',
      async run() {
        begun.resolve()
        await gate.promise
        throw new AppError('no_capacity', 'not now')
      },
    })
    const job = ask()
    await begun.promise
    for (const reporter of ['a', 'b'])
      hub.bans.failed(
        {
          jobId: reporter,
          tenant: 'acme',
          work: (await kernelRequest(WORLD, payload)).work,
          reporter,
          trust: 'public',
          heldMs: LIMITS.kernelRunMs,
        },
        new NodeError('node_timeout', 'Hung.'),
      )
    const spare = await hub.join({ country: 'DE' })
    gate.resolve()
    expect(await job).toBe('no_capacity ')
    expect(spare.ran).toEqual([])
    await dying.disconnect()
  })
})
