/** A grant measured at a busy moment is measured again before it refuses a kernel. */
import { describe, expect, it } from 'vitest'
import { createGrants } from '#engine/kernels/grants.ts'
import type { Grant } from '#engine/kernels/rewrite/meter-kernel.ts'

function setUp(totals: readonly (number | Error)[]) {
  let nowMs = 0
  let measured = 0
  const measure = (): Promise<Grant> => {
    const total = totals[measured] ?? 1
    measured += 1
    return total instanceof Error
      ? Promise.reject(total)
      : Promise.resolve({ total, each: total, isPooled: false })
  }
  const grants = createGrants(measure, () => nowMs)
  return { grants, measured: () => measured, pass: (ms: number) => (nowMs += ms) }
}

describe('the grants of a device', () => {
  it('are measured once for many kernels, and again when they are old', async () => {
    const { grants, measured, pass } = setUp([10, 20])
    await Promise.all([grants.current(), grants.current()])
    expect(measured()).toBe(1)
    pass(59_999)
    expect((await grants.current()).total).toBe(10)
    pass(1)
    expect((await grants.current()).total).toBe(20)
  })

  it('are measured again before a kernel is refused by them', async () => {
    const { grants, pass } = setUp([10, 100, 105])
    const busy = await grants.current()
    pass(2_000)
    const quiet = await grants.larger(busy)
    expect(quiet?.total).toBe(100)
    pass(2_000)
    // No notable gain: the kernel is too much for this device.
    expect(await grants.larger({ total: 100, each: 100, isPooled: false })).toBeUndefined()
  })

  it('are not measured again for every endless kernel', async () => {
    const { grants, measured, pass } = setUp([10, 100])
    const grant = await grants.current()
    pass(1_999)
    expect(await grants.larger(grant)).toBeUndefined()
    expect(measured()).toBe(1)
  })

  it('are not kept when a measurement fails', async () => {
    const { grants } = setUp([new Error('lost'), 10])
    await expect(grants.current()).rejects.toThrow('lost')
    expect((await grants.current()).total).toBe(10)
  })
})
