/** Every described route with requests that are good, nearly good and hostile, against a real Worker and a real node. */
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fuzzRoutes } from '#scripts/fuzz/run.ts'
import { startNodeProcess, type NodeProcess } from '#scripts/stack/node-process.ts'
import { repositoryPath } from '#scripts/base/paths.ts'
import { silentLog } from '#shared/base/log.ts'
import { problem } from '#test/support/stack/problem.ts'
import { slowRequest } from '#test/support/stack/slow-client.ts'
import { startTestWorker, type TestWorker } from '#test/support/stack/worker.ts'

const REQUESTS = 500
const SEED = 20_261_122

let worker: TestWorker
let node: NodeProcess
let keys: { own: string; other: string; operator: string }

beforeAll(async () => {
  worker = await startTestWorker('development')
  const { operator } = worker
  const scopes = ['infer', 'policy', 'audit', 'admin']
  const own = await operator.createKey({ tenant: 'acme', scopes })
  const other = await operator.createKey({ tenant: 'other', scopes })
  keys = { own: own.key, other: other.key, operator: operator.key }
  const { key } = await operator.createKey({ tenant: 'operator', scopes: ['node'] })
  node = await startNodeProcess({
    hub: worker.workerd.url,
    dir: worker.stateDir,
    name: 'fuzz',
    region: 'DE',
    simulatedPlace: 'DE',
    device: 'cpu',
    key,
    log: silentLog,
  })
})
afterAll(async () => {
  await node?.close()
  await worker?.close()
})

const embed = () =>
  worker.call('POST', '/v1/embeddings', {
    key: keys.own,
    json: { model: 'littoral-embed-400k', input: 'still here' },
  })

describe('the routes of the API', () => {
  it(`[Z1] give each of ${REQUESTS} fuzzed requests a named answer, and still serve the next`, async () => {
    const description: unknown = JSON.parse(
      await readFile(repositoryPath('docs/openapi.json'), 'utf8'),
    )
    let isAlive = true
    void worker.workerd.ended.then(() => (isAlive = false))
    const report = await fuzzRoutes(
      description,
      { url: worker.workerd.url, keys, isAlive: () => isAlive },
      { requests: REQUESTS, seed: SEED },
    )
    expect(report.faults).toEqual([])
    expect(report.requests).toBe(REQUESTS)
    expect(Object.keys(report.accepted).length).toBeGreaterThan(12)
    expect((await embed()).status).toBe(200)
  })
})

describe('a client', () => {
  const body = JSON.stringify({ model: 'littoral-embed-400k', input: 'slowly' })

  it('[Z2] that sends one byte at a time gets its answer and delays nobody', async () => {
    const slow = slowRequest({
      url: `${worker.workerd.url}/v1/embeddings`,
      key: keys.own,
      body,
      everyMs: 20,
    })
    const others = await Promise.all(Array.from({ length: 20 }, embed))
    expect(new Set(others.map(({ status }) => status))).toEqual(new Set([200]))
    expect((await slow).status).toBe(200)
  })

  it('[Z2] that reads slowly gets the whole of a large answer and delays nobody', async () => {
    const input = Array.from({ length: 200 }, (_, i) => `text ${i}`)
    const slow = slowRequest({
      url: `${worker.workerd.url}/v1/embeddings`,
      key: keys.own,
      body: JSON.stringify({ model: 'littoral-embed-400k', input }),
      sendBytes: 4_096,
      reading: { bytes: 2_048, everyMs: 10 },
    })
    const others = await Promise.all(Array.from({ length: 20 }, embed))
    expect(new Set(others.map(({ status }) => status))).toEqual(new Set([200]))
    const { status, text } = await slow
    expect(status).toBe(200)
    expect((JSON.parse(text) as { data: unknown[] }).data).toHaveLength(200)
  })

  it('[Z3] that leaves within its body, or before its answer, leaves nothing behind', async () => {
    for (const leaveAfterBytes of [0, 1, 20, body.length]) {
      await slowRequest({
        url: `${worker.workerd.url}/v1/embeddings`,
        key: keys.own,
        body,
        everyMs: 0,
        leaveAfterBytes,
      }).catch(() => undefined)
    }
    expect((await embed()).status).toBe(200)
    const { body: network } = await worker.call('GET', '/v1/network/nodes')
    expect(network).toMatchObject({ nodes: [{ inFlight: 0, quarantine: null }] })
  })

  it('[Z4] whose tensor claims 4 GiB or has no element is refused', async () => {
    const infer = (tensor: object) =>
      worker.call('POST', '/v2/models/pp-ocr-rec/infer', {
        key: keys.own,
        json: { inputs: [{ name: 'image', datatype: 'UINT8', ...tensor }] },
      })
    for (const tensor of [
      { shape: [65_536, 65_536, 1], data: [] },
      { shape: [2, 2, 3], parameters: { binary_data_size: 2 ** 32 } },
      { shape: [0, 2, 3], data: [] },
      { shape: [2 ** 53 - 1, 2 ** 53 - 1, 2 ** 53 - 1], data: [1] },
    ]) {
      problem(await infer(tensor), 'invalid_request')
    }
  })
})
