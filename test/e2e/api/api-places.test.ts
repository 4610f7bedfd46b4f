/** Places of nodes in production builds, simulated places in development builds, and how nodes connect. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import WebSocket from 'ws'
import { AdmissionReply } from '#shared/api/network.ts'
import {
  ADMISSION_SECRET,
  BUILDS,
  startTestWorker,
  type TestWorker,
} from '#test/support/stack/worker.ts'
import { randomBytes, NodeId } from '#shared/base/ids.ts'
import { signAdmission, ADMISSION_TTL_MS } from '#worker/edge/admission.ts'
import { ADMISSIONS_PER_MINUTE } from '#worker/isolate.ts'

const nodeId = NodeId.parse('12D3KooWGRUfVhn7rP1fhW4mRDVmWcuJwuYRhUPxGX5EcHCZx9ij')
const MARKS = [
  'simulated_asn',
  'simulated_rtt',
  'simulated_place',
  'x-littoral-simulated-place',
  'x-littoral-simulated-ingress',
]

const workers: TestWorker[] = []

afterAll(async () => {
  for (const worker of workers) await worker.close()
})

async function start(
  build: keyof typeof BUILDS,
  vars: Record<string, string> = {},
): Promise<TestWorker> {
  const worker = await startTestWorker(build, vars)
  workers.push(worker)
  return worker
}

async function admit(worker: TestWorker, headers: Record<string, string>, key?: string) {
  const json = { nodeId, claim: 'DE' }
  const reply = await worker.call('POST', '/v1/nodes/admission', { json, headers, key })
  return AdmissionReply.parse(reply.body)
}

/** HTTP status of a WebSocket upgrade. */
function upgrade(worker: TestWorker, path: string, headers: Record<string, string> = {}) {
  return new Promise<number>((done, fail) => {
    const socket = new WebSocket(`${worker.workerd.url.replace('http', 'ws')}${path}`, { headers })
    socket.on('open', () => {
      socket.close()
      done(101)
    })
    socket.on('unexpected-response', (_, response) => done(response.statusCode ?? 0))
    socket.on('error', fail)
  })
}

describe('[E8] simulated places', () => {
  it('exist in development builds only', async () => {
    const code = (build: keyof typeof BUILDS) => readFile(join(BUILDS[build], 'index.js'), 'utf8')
    const [real, simulated] = await Promise.all([code('production'), code('development')])
    for (const mark of MARKS) {
      expect(simulated).toContain(mark)
      expect(real).not.toContain(mark)
    }
  })

  it('keep a production build from starting, with the reason', async () => {
    const started = startTestWorker('production', { SIMULATED_PLACES: 'true' })
    await expect(started).rejects.toThrow(
      /SIMULATED_PLACES is set, and a production build does not start/,
    )
  })

  it('are accepted by a development build, and signed as simulated', async () => {
    const worker = await start('development')
    const seen = async (place: string) =>
      (await admit(worker, { 'x-littoral-simulated-place': place })).place
    expect(await seen('DE')).toMatchObject({
      country: 'DE',
      evidence: 'observed',
      source: 'simulated',
    })
    expect(await seen('US')).toMatchObject({ evidence: 'contradicted', source: 'simulated' })
  })

  it('are accepted under local host names only', async () => {
    const worker = await start('development')
    const { port } = worker.workerd
    const status = await new Promise<number | undefined>((done, fail) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/p2p/hub-0`, {
        headers: { host: 'evil.example' },
      })
      socket.on('unexpected-response', (_, response) => done(response.statusCode))
      socket.on('error', fail)
    })
    expect(status).toBe(403)
  })

  it('are refused by a production build, which ignores every other claim about a place', async () => {
    const worker = await start('production')
    const json = { nodeId, claim: 'DE' }
    const headers = { 'x-littoral-simulated-place': 'DE' }
    const refused = await worker.call('POST', '/v1/nodes/admission', { json, headers })
    expect(refused.status).toBe(400)
    const { place } = await admit(worker, {
      'x-littoral-country': 'DE',
      'x-littoral-proxy-secret': 'guess',
      'cf-ipcountry': 'DE',
    })
    expect(place).toEqual({ country: 'DE', evidence: 'declared', source: 'none', trust: 'public' })
  })
})

describe("[E1] the operator's own proxy", () => {
  it('is believed with the secret', async () => {
    const worker = await start('production', { PROXY_SECRET: 'between us' })
    const from = (country: string, secret: string) =>
      admit(worker, { 'x-littoral-country': country, 'x-littoral-proxy-secret': secret })
    expect((await from('DE', 'between us')).place.evidence).toBe('observed')
    expect((await from('FR', 'between us')).place.evidence).toBe('contradicted')
    expect((await from('DE', 'between you')).place.evidence).toBe('declared')
  })
})

describe('[E4] a node that connects', () => {
  it('gets a token in every hub’s address, and is admitted with it', async () => {
    const worker = await start('production')
    const { hubs, token } = await admit(worker, {})
    expect(hubs).toHaveLength(1)
    expect(decodeURIComponent(hubs[0] ?? '')).toContain(`/http-path/p2p/hub-0?token=${token}/p2p/`)
    expect(await upgrade(worker, `/p2p/hub-0?token=${token}`)).toBe(101)
    expect(await upgrade(worker, `/p2p/hub-1?token=${token}`)).toBe(403)
    expect(await upgrade(worker, `/p2p/other-0?token=${token}`)).toBe(404)
  })

  it('is refused without a valid token, whatever it claims', async () => {
    const worker = await start('production')
    const forged = { 'x-littoral-internal-admission': JSON.stringify({ nodeId, claim: 'DE' }) }
    const node = {
      nodeId,
      claim: 'DE' as const,
      trust: 'verified' as const,
      hubs: { 'hub-0': nodeId },
    }
    const sign = (secret: string, nowMs: number) =>
      signAdmission(node, { secret, nowMs, random: randomBytes })
    const { token: foreign } = await sign('another secret', Date.now())
    const { token: old } = await sign(ADMISSION_SECRET, Date.now() - ADMISSION_TTL_MS - 1000)
    for (const token of ['', foreign, old]) {
      expect(await upgrade(worker, `/p2p/hub-0?token=${token}`, forged)).toBe(400)
      expect(await upgrade(worker, `/p2p/hub-0?token=${token}`)).toBe(403)
    }
    expect((await worker.call('GET', '/p2p/hub-0', { headers: forged })).status).toBe(400)
  })

  it('is verified only by a key with scope node', async () => {
    const worker = await start('production')
    const keyFor = async (scope: string) =>
      (await worker.operator.createKey({ tenant: 'fleet', scopes: [scope] })).key
    expect((await admit(worker, {}, await keyFor('node'))).place.trust).toBe('verified')
    const json = { nodeId, claim: 'DE' }
    const options = { json, key: await keyFor('infer') }
    const refused = await worker.call('POST', '/v1/nodes/admission', options)
    expect(refused.status).toBe(403)
  })

  it('is admitted a bounded number of times a minute for each address block', async () => {
    const worker = await start('production', { PROXY_SECRET: 'between us' })
    const from = (address: string) => ({
      'x-littoral-proxy-secret': 'between us',
      'x-forwarded-for': address,
    })
    for (let i = 0; i < ADMISSIONS_PER_MINUTE; i += 1)
      await admit(worker, from(`2001:db8:1:2::${i.toString(16)}`))
    const refused = await worker.call('POST', '/v1/nodes/admission', {
      json: { nodeId, claim: 'DE' },
      headers: from('2001:db8:1:2:ffff::1'),
    })
    expect(refused.status).toBe(429)
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    await admit(worker, from('2001:db8:1:3::1'))
  })
})
