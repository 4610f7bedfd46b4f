/** The places of connections and entries: whom the Worker believes. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { countryBit, UNKNOWN_COUNTRY } from '#shared/law/region.ts'
import { clientAddress, observeIngress, observeNode, observePlace } from '#worker/edge/place.ts'

const secret = 'a secret of the proxy'
const selfHosted = {
  deployment: 'any' as const,
  proxySecret: secret,
  logKey: undefined,
  ingressCountry: UNKNOWN_COUNTRY,
}
const cloudflare = { ...selfHosted, deployment: 'cloudflare' as const }
const nowhere = { country: UNKNOWN_COUNTRY, source: 'none' }

/** Sets a build constant, here as a global. */
function buildFor(places: 'production' | 'development') {
  Object.assign(globalThis, { __SIMULATED_PLACES__: places === 'development' })
}

function request(headers: Record<string, string>, cf?: object): Request {
  const made = new Request('http://edge.test/p2p/hub-0?simulated_place=DE', { headers })
  return cf === undefined ? made : Object.assign(made, { cf })
}

beforeEach(() => buildFor('production'))
afterEach(() => Reflect.deleteProperty(globalThis, '__SIMULATED_PLACES__'))

describe('[E1] the place of a connection', () => {
  it('is unknown when nobody vouches for it', async () => {
    const headers = {
      'x-littoral-country': 'DE',
      'x-littoral-simulated-place': 'DE',
      'x-littoral-internal-admission': '{}',
      'cf-ipcountry': 'DE',
    }
    expect(await observePlace(request(headers), selfHosted)).toEqual(nowhere)
  })

  it('is not believed from request.cf off Cloudflare', async () => {
    expect(await observePlace(request({}, { country: 'DE' }), selfHosted)).toEqual(nowhere)
  })

  it("is the edge's on Cloudflare", async () => {
    const seen = { country: countryBit('FR'), source: 'edge' }
    expect(await observePlace(request({}, { country: 'FR' }), cloudflare)).toEqual(seen)
    expect(await observePlace(request({}, { country: 'T1' }), cloudflare)).toEqual(nowhere)
  })

  it("is the operator's proxy's when it knows the secret, and only then", async () => {
    const headers = { 'x-littoral-country': 'CH' }
    const place = (given: string) =>
      observePlace(request({ ...headers, 'x-littoral-proxy-secret': given }), selfHosted)
    expect(await place(secret)).toEqual({ country: countryBit('CH'), source: 'proxy' })
    expect(await place(`${secret}.`)).toEqual(nowhere)
  })

  it('can be simulated in a development build only', async () => {
    buildFor('development')
    const simulated = { country: countryBit('DE'), source: 'simulated' }
    expect(await observePlace(request({}), selfHosted)).toEqual(simulated)
    buildFor('production')
    expect(await observePlace(request({}), selfHosted)).toEqual(nowhere)
  })
})

describe('[E2] the place of entry', () => {
  it('is unknown, and so in no policy, where nothing says it', async () => {
    expect(await observeIngress(request({}), selfHosted)).toEqual(nowhere)
    expect(await observeIngress(request({}, { colo: 'ZZZ' }), cloudflare)).toEqual(nowhere)
  })

  it("is the data centre's country on Cloudflare, not the client's", async () => {
    const seen = await observeIngress(request({}, { colo: 'FRA', country: 'US' }), cloudflare)
    expect(seen).toEqual({ country: countryBit('DE'), source: 'edge' })
  })

  it('is what the operator declares for a machine of its own', async () => {
    const declared = { ...selfHosted, ingressCountry: countryBit('SE') }
    expect((await observeIngress(request({}), declared)).country).toBe(countryBit('SE'))
  })
})

describe("[E3] what is seen of a node's own connection", () => {
  it('marks hosting networks by a dated list', async () => {
    const of = async (cf: object) => (await observeNode(request({}, cf), cloudflare)).observation
    const german = { country: 'DE', source: 'edge', asn: 3320, network: 'residential' }
    expect(await of({ country: 'DE', asn: 3320 })).toMatchObject(german)
    expect(await of({ country: 'DE', asn: 24_940 })).toMatchObject({ network: 'hosting' })
    expect((await of({ country: 'DE', asn: 24_940 })).listVersion).toBeGreaterThan(20_260_000)
    expect(await of({ country: 'DE' })).toMatchObject({ asn: null, network: 'unknown' })
  })

  it('recognises Tor by the edge’s code for it', async () => {
    const { observation } = await observeNode(request({}, { country: 'T1' }), cloudflare)
    expect(observation).toMatchObject({ country: null, source: 'none', network: 'tor' })
  })

  it("takes network and TCP round trip only from the operator's own proxy", async () => {
    const config = { ...selfHosted, proxySecret: 'a secret' }
    const headers = {
      'x-littoral-country': 'FR',
      'x-littoral-asn': '16276',
      'x-littoral-tcp-rtt-us': '8400',
    }
    const signed = { ...headers, 'x-littoral-proxy-secret': 'a secret' }
    expect(await observeNode(request(signed), config)).toMatchObject({
      observation: { country: 'FR', source: 'proxy', asn: 16_276, network: 'hosting' },
      transportRttMs: 8.4,
    })
    expect(await observeNode(request(headers), config)).toMatchObject({
      observation: { country: null, asn: null },
      transportRttMs: null,
    })
    const odd = { ...signed, 'x-littoral-asn': '1e9', 'x-littoral-tcp-rtt-us': '-1' }
    expect(await observeNode(request(odd), config)).toMatchObject({
      observation: { asn: null, network: 'unknown' },
      transportRttMs: null,
    })
  })
})

describe('the client address', () => {
  it("is the connection's, without its port", async () => {
    const from = (clientIp: string) => clientAddress(request({}, { clientIp }), selfHosted)
    expect(await from('192.0.2.7:4711')).toBe('192.0.2.7')
    expect(await from('[2001:db8::1]:4711')).toBe('[2001:db8::1]')
  })

  it('is the one that the proxy saw, whatever the client sent', async () => {
    const config = { ...selfHosted, proxySecret: 'a secret' }
    const forwarded = { 'x-forwarded-for': '203.0.113.9, 198.51.100.1' }
    const made = request({ ...forwarded, 'x-littoral-proxy-secret': 'a secret' })
    expect(await clientAddress(made, config)).toBe('198.51.100.1')
  })

  it('is not what a client without the secret forwards', async () => {
    const forged = request({ 'x-forwarded-for': '198.51.100.1' }, { clientIp: '192.0.2.7:1' })
    expect(await clientAddress(forged, selfHosted)).toBe('192.0.2.7')
  })
})
