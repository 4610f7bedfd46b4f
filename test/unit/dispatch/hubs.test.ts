/** Hubs that a smaller HUB_REGIONS no longer has are still asked for what they hold, in their own jurisdiction. */
import { describe, expect, it } from 'vitest'
import { everyHub, hubNamed } from '#worker/dispatch/hubs.ts'
import type { ObjectNamespace, RegionConfig } from '#worker/platform/config.ts'
import { plainConfig } from '#test/support/worker-config.ts'

/** @param kept names of hubs in each registry */
function deployment(
  regions: readonly Pick<RegionConfig, 'name' | 'jurisdiction' | 'shards'>[],
  kept: Readonly<Record<string, readonly string[]>>,
) {
  const REGISTRY: ObjectNamespace = {
    getByName: (name) => ({ hubs: async () => kept[name] ?? [] }),
    jurisdiction: () => REGISTRY,
  }
  return { env: { REGISTRY, HUB: REGISTRY }, config: plainConfig(regions, 'cloudflare') }
}

const EU = { name: 'eu-west', jurisdiction: 'eu', shards: 1 } as const
const names = async (target: Parameters<typeof everyHub>[0]) =>
  (await everyHub(target)).map(({ name, jurisdiction }) => `${jurisdiction} ${name}`)

describe('a region that was made smaller', () => {
  const kept = { 'registry-eu': ['eu-west-0', 'eu-west-3'] }

  it('has all its hubs asked that have not left', async () => {
    expect(await names(deployment([EU], kept))).toEqual(['eu eu-west-0', 'eu eu-west-3'])
    expect(await names(deployment([{ ...EU, shards: 0 }], kept))).toEqual([
      'eu eu-west-0',
      'eu eu-west-3',
    ])
    expect(await names(deployment([{ ...EU, shards: 0 }], {}))).toEqual([])
  })

  it('keeps the jurisdiction of its hubs', () => {
    const { config } = deployment([EU], {})
    expect(hubNamed(config, 'eu-west-3')).toEqual({ name: 'eu-west-3', jurisdiction: 'eu' })
  })

  it('must not be left out before its hubs have left', async () => {
    const other = { name: 'eu-north', jurisdiction: 'eu', shards: 1 } as const
    await expect(everyHub(deployment([other], kept))).rejects.toMatchObject({
      code: 'internal',
      detail: expect.stringMatching(/eu-west-0 .*HUB_REGIONS.*\*0/),
    })
  })

  it('must not be left out as the last of its jurisdiction, nor come back in another', async () => {
    const us = { name: 'us-east', jurisdiction: 'us', shards: 1 } as const
    for (const regions of [[us], [us, { ...EU, jurisdiction: 'us' }]] as const)
      await expect(everyHub(deployment(regions, kept))).rejects.toMatchObject({ code: 'internal' })
  })
})
