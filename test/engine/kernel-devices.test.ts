/** Devices that go one after the other, real ones: how often another is opened, and that it ends. */
import { afterAll, describe, expect, test } from 'vitest'
import { openKernels } from '#engine/kernel-work.ts'
import { LIMITS } from '#shared/limits.ts'
import type { Log } from '#shared/log.ts'
import { silentLog } from '#shared/log.ts'
import type { NodeDevice } from '#local-node/device.ts'
import { kernelJob } from '../support/engine-jobs.ts'
import { until } from '../support/poll.ts'
import { openTestDevice } from '../support/wgsl/device.ts'
import { PROBE } from '../support/wgsl/execute.ts'

const opened: NodeDevice[] = []
const open = async () => {
  const device = await openTestDevice()
  opened.push(device)
  return device
}
afterAll(() => {
  for (const { device } of opened) device.destroy()
})

describe('a tab whose devices go', () => {
  const plain = kernelJob({ wgsl: PROBE, buffers: [{ sizeBytes: 4 }] })
  const start = async (reopenDevice: () => Promise<GPUDevice | undefined>) => {
    const { device, adapter } = await open()
    const events: string[] = []
    const log: Log = { ...silentLog, warn: (event) => events.push(event) }
    const kernels = openKernels({
      device,
      adapter,
      kernels: 'any',
      kernelGrant: { total: 1e9, each: 1e9, isPooled: true },
      log,
      now: () => performance.now(),
      reopenDevice,
      pause: () => Promise.resolve(),
    })
    return { kernels, events }
  }

  test('[U9] opens another a bounded number of times, then runs no kernels and says so', async () => {
    const { kernels, events } = await start(async () => (await open()).device)
    for (let lost = 1; lost <= LIMITS.devicesAbandoned; lost += 1) {
      const { outputs } = await kernels.run(plain.work, plain.payload)
      expect([...(outputs[0] ?? [])]).toEqual([42, 0, 0, 0])
      opened.at(-1)?.device.destroy()
      await until('the loss is seen', () => kernels.kernels() !== 'any' || opened.length > lost)
      if (lost < LIMITS.devicesAbandoned)
        await until('another device serves', () => kernels.kernels() === 'any')
    }
    await until('it is given up', () => events.includes('device.given-up'))
    expect(opened).toHaveLength(LIMITS.devicesAbandoned)
    expect(kernels.kernels()).toEqual([])
    await expect(kernels.run(plain.work, plain.payload)).rejects.toMatchObject({
      code: 'node_lost',
    })
    kernels.close()
  })

  test('[U9] stops asking when no other device comes', async () => {
    let asked = 0
    const { kernels, events } = await start(async () => {
      asked += 1
      return undefined
    })
    opened.at(-1)?.device.destroy()
    await until('it is given up', () => events.includes('device.given-up'))
    expect(asked).toBe(LIMITS.deviceReopens)
    expect(kernels.kernels()).toEqual([])
    kernels.close()
  })
})
