/** A deployment's configuration, and settings that it refuses. */
import { afterEach, describe, expect, it } from 'vitest'
import { readConfig, type WorkerEnv } from '#worker/platform/config.ts'

/** Sets a build constant, here as a global. */
function buildFor(places: 'production' | 'development') {
  Object.assign(globalThis, { __SIMULATED_PLACES__: places === 'development' })
}
afterEach(() => Reflect.deleteProperty(globalThis, '__SIMULATED_PLACES__'))

const env = (change: object): WorkerEnv =>
  ({
    HUB_REGIONS: 'hub:any',
    JURISDICTION: 'any',
    INGRESS_COUNTRY: '',
    HUB_ADDRESS: '',
    ...change,
  }) as WorkerEnv

describe('the regions of a deployment', () => {
  it('have a name, a jurisdiction and a number of hubs, and anchors a place with its uncertainty', () => {
    buildFor('production')
    const HUB_REGIONS = 'eu-west:eu*12@50.11/8.68/25,ash:us@39.04/-77.49,any:any*3'
    expect(readConfig(env({ HUB_REGIONS })).regions).toEqual([
      {
        name: 'eu-west',
        jurisdiction: 'eu',
        shards: 12,
        anchor: { lat: 50.11, lon: 8.68, slackKm: 25, isSimulated: false },
      },
      {
        name: 'ash',
        jurisdiction: 'us',
        shards: 1,
        anchor: { lat: 39.04, lon: -77.49, slackKm: 0, isSimulated: false },
      },
      { name: 'any', jurisdiction: 'any', shards: 3, anchor: null },
    ])
    buildFor('development')
    expect(readConfig(env({ HUB_REGIONS })).regions[0]?.anchor?.isSimulated).toBe(true)
  })

  it.each(['hub', 'hub:mars', 'hub:any@91/0', 'hub:any@1', 'a:any,a:any', 'a:any*1001', ''])(
    'written as "%s" are refused',
    (HUB_REGIONS) => {
      buildFor('production')
      expect(() => readConfig(env({ HUB_REGIONS }))).toThrow()
    },
  )

  it('have hubs of 500 seats unless fewer are asked for', () => {
    expect(readConfig(env({})).hubSeats).toBe(500)
    expect(readConfig(env({ HUB_SEATS: '2' })).hubSeats).toBe(2)
    for (const HUB_SEATS of ['0', '501', 'many'])
      expect(() => readConfig(env({ HUB_SEATS }))).toThrow()
  })
})

it('[E8] a production build does not run with simulated places', () => {
  buildFor('production')
  expect(() => readConfig(env({ SIMULATED_PLACES: 'true' }))).toThrow(/SIMULATED_PLACES is set/)
  buildFor('development')
  expect(readConfig(env({ SIMULATED_PLACES: 'true' })).deployment).toBe('any')
})

it('attesters that are not keys are refused', () => {
  const word = `0x${'1'.repeat(64)}`
  expect(readConfig(env({ ATTESTERS: `${word}.${word}` })).attesters).toEqual([
    { x: word, y: word },
  ])
  expect(() => readConfig(env({ ATTESTERS: 'me' }))).toThrow(/ATTESTERS: me is not a public key/)
})

it('a mistyped audit log key is refused and not shown', () => {
  const seed = `0x${'5'.repeat(64)}`
  expect(readConfig(env({ LOG_KEY: seed })).logKey).toBe(seed)
  expect(readConfig(env({ LOG_KEY: '' })).logKey).toBeUndefined()
  const refusal = 'LOG_KEY is not 0x and 64 hex digits.'
  expect(() => readConfig(env({ LOG_KEY: '5'.repeat(64) }))).toThrow(refusal)
})
