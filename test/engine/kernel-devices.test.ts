/** Kernels that an engine offers after it has lost a real device. */
import { expect, test } from 'vitest'
import { openKernels } from '#engine/kernel-work.ts'
import { silentLog } from '#shared/base/log.ts'
import { kernelJob } from '#test/support/engine/engine-jobs.ts'
import { until } from '../support/poll.ts'
import { openTestDevice } from '../support/wgsl/device.ts'
import { PROBE } from '../support/wgsl/execute.ts'

const NEVER = new AbortController().signal

test('[U9] a lost device is reported once, and its kernels are offered no more', async () => {
  const plain = kernelJob({ wgsl: PROBE, buffers: [{ sizeBytes: 4 }] })
  const { device, adapter } = await openTestDevice()
  const lost: string[] = []
  const kernels = openKernels({
    device,
    adapter,
    kernels: 'any',
    kernelGrant: { total: 1e9, each: 1e9, isPooled: true },
    log: silentLog,
    now: () => performance.now(),
    onDeviceLost: (reason) => lost.push(reason),
  })
  const { outputs } = await kernels.run(plain.work, plain.payload, NEVER)
  expect([...(outputs[0] ?? [])]).toEqual([42, 0, 0, 0])
  device.destroy()
  await until('the loss is seen', () => kernels.kernels() !== 'any')
  expect(kernels.kernels()).toEqual([])
  expect(lost).toHaveLength(1)
  await expect(kernels.run(plain.work, plain.payload, NEVER)).rejects.toMatchObject({
    code: 'node_lost',
  })
  kernels.close()
})
