/** Tenants share a scarce resource. */
import { expect, it } from 'vitest'
import { TenantId } from '#shared/base/ids.ts'
import { createFairShare } from '#worker/hub/choice/fair-share.ts'

const [acme, globex] = [TenantId.parse('acme'), TenantId.parse('globex')]

it('[Q4] two tenants that want everything get equal shares, each less than half', () => {
  const share = createFairShare(256)
  const held = { acme: 0, globex: 0 }
  // The first tenant has filled its share before the second comes. Both then ask for what it gives back.
  while (share.take(acme, 1)) held.acme += 1
  expect(held.acme).toBe(192)
  for (let round = 0; round < 2_000; round += 1) {
    if (share.take(globex, 1)) held.globex += 1
    share.give(acme, 1)
    if (!share.take(acme, 1)) held.acme -= 1
  }
  expect(held.acme).toBeLessThan(128)
  expect(Math.abs(held.acme - held.globex)).toBeLessThanOrEqual(4)
})
