/** Batches on the whole system: two nodes, one of which dies, a Worker that is killed, and a verified webhook. */
import { createServer, type Server } from 'node:http'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BatchErasureReply, EntriesReply } from '#shared/api/audit.ts'
import type { NodeProcess } from '#scripts/stack/node-process.ts'
import * as jobs from '#worker/api/jobs/jobs.ts'
import type { BatchStatus } from '#worker/protocols/batch.ts'
import { runBatch } from '#examples/jobs-client.ts'
import { estimate, readTallies, shareThrough, studyBatch } from '#examples/monte-carlo-shield.ts'
import { developPicture, pictureBatch } from '#examples/path-tracer-scene.ts'
import { openPolicy, useStack } from '#test/support/stack/stack.ts'
import { until } from '#test/support/poll.ts'
import { openOnce } from '#test/support/open-once.ts'

/** Writes index² after a loop that takes some time. */
const squares = (spins: number) => `
@group(0) @binding(0) var<storage, read> item: array<u32, 4>;
@group(0) @binding(1) var<storage, read_write> out: array<f32, 2>;
@compute @workgroup_size(1) fn main() {
  var busy = 0.0;
  for (var i = 0u; i < ${spins}u; i += 1u) { busy = fract(busy + sin(f32(i + item[0]))); }
  out[0] = f32(item[0] * item[0]);
  out[1] = busy;
}`

/** Within the budget of one thread even on a slow node. */
const TURNS = 4_000

function batchOf(count: number, spins = 1, more: object = {}) {
  return {
    kernel: { wgsl: squares(spins), entryPoint: 'main', workgroups: [1, 1, 1] },
    buffers: [{ binding: 1, access: 'read_write', sizeBytes: 8, return: true }],
    range: { end: count, binding: 0 },
    ...more,
  }
}

const { stack, tenant } = useStack({ scopes: ['infer', 'policy', 'audit'] })
const us = openOnce(() => stack.startNode({ name: 'us', region: 'US', verified: false }))
const eu = openOnce(() => stack.startNode({ name: 'fr', region: 'FR', verified: false }))

async function submit(body: object, headers: Record<string, string> = {}): Promise<string> {
  const { status, body: reply, headers: got } = await stack.post(tenant, '/v1/jobs', body, headers)
  expect({ status, reply }).toMatchObject({ status: 202 })
  const { id } = jobs.CreatedBatchReply.parse(reply)
  expect(got.get('location')).toBe(`/v1/jobs/${id}`)
  return id
}

async function statusOf(id: string): Promise<BatchStatus> {
  return jobs.BatchReply.parse((await stack.get(tenant, `/v1/jobs/${id}`)).body)
}

async function untilEnded(id: string): Promise<BatchStatus> {
  let last = await statusOf(id)
  await until(`batch ${id} has ended`, async () => {
    last = await statusOf(id)
    return last.status !== 'running' && last.status !== 'reducing'
  })
  return last
}

async function resultsOf(id: string) {
  const { body } = await stack.get(tenant, `/v1/jobs/${id}/results?limit=1000`)
  const { data, next } = jobs.ResultsReply.parse(body)
  return {
    next,
    data,
    squares: data.map(({ outputs }) => {
      const bytes = Buffer.from(outputs[0]?.data ?? '', 'base64')
      return bytes.length === 0 ? undefined : bytes.readFloatLE(0)
    }),
  }
}

const squaresTo = (count: number) => Array.from({ length: count }, (_, index) => index * index)

function jobsStartedOn(node: NodeProcess): number {
  return node.lines.filter((line) => line.includes('job.started')).length
}

describe('a batch that is pinned to the EU', () => {
  it('runs item by item in the EU and never on the US node; each item has its own receipt', async () => {
    const id = await submit(batchOf(40, 1, { reduce: { op: 'sum', datatype: 'FP32' } }))
    const status = await untilEnded(id)
    expect(status).toMatchObject({
      status: 'done',
      counts: { total: 40, done: 40 },
      countries: { FR: 40 },
      nodes: [{ nodeId: eu.nodeId, country: 'FR', items: 40 }],
    })
    expect(jobsStartedOn(us)).toBe(0)
    const { data, squares: values } = await resultsOf(id)
    expect(values).toEqual(squaresTo(40))
    const receipts = new Set(data.map(({ receipt }) => receipt))
    expect(receipts.size).toBe(40)
    const receipt = await stack.get(tenant, `/v1/receipts/${data[0]?.receipt}`)
    expect(receipt.status).toBe(200)
    const reduced = jobs.ResultReply.parse(
      (await stack.get(tenant, `/v1/jobs/${id}/results/reduced`)).body,
    )
    const sum = Buffer.from(reduced.outputs[0]?.data ?? '', 'base64').readDoubleLE(0)
    expect(sum).toBe(values.reduce<number>((total, value) => total + (value ?? 0), 0))
  })

  it('is invisible to another tenant, and is deleted once it is acknowledged', async () => {
    const id = await submit(batchOf(1))
    await untilEnded(id)
    const other = await stack.createTenant('other', ['infer'])
    for (const path of ['', '/results', '/results/0', '/events']) {
      expect((await stack.get(other, `/v1/jobs/${id}${path}`)).status).toBe(404)
    }
    const list = jobs.BatchesReply.parse((await stack.get(tenant, '/v1/jobs')).body)
    expect(list.data.map((batch) => batch.id)).toContain(id)
    expect((await stack.post(tenant, `/v1/jobs/${id}/acknowledge`, {})).status).toBe(200)
    expect((await stack.get(tenant, `/v1/jobs/${id}`)).status).toBe(404)
    await until('it is off the list', async () => {
      const left = jobs.BatchesReply.parse((await stack.get(tenant, '/v1/jobs')).body)
      return !left.data.some((batch) => batch.id === id)
    })
  })
})

describe('a batch whose process is killed', () => {
  it('continues after the restart, and has every item once', async () => {
    const id = await submit(batchOf(100, TURNS, { concurrency: 2 }))
    await until('some items are done', async () => (await statusOf(id)).counts.done >= 3)
    expect((await statusOf(id)).status).toBe('running')
    await stack.restartWorker('kill')
    const status = await untilEnded(id)
    expect(status).toMatchObject({ status: 'done', counts: { done: 100 } })
    expect((await resultsOf(id)).squares).toEqual(squaresTo(100))
  })
})

describe('a batch over two nodes', () => {
  let second: NodeProcess
  beforeAll(async () => {
    second = await stack.startNode({ name: 'it', region: 'IT', verified: false })
  })

  it('loses nothing when one of them dies: every item is in the results once', async () => {
    const id = await submit(batchOf(120, TURNS, { concurrency: 4 }))
    await until('both nodes have done some', async () => (await statusOf(id)).nodes.length === 2)
    await second.kill()
    expect((await statusOf(id)).status).toBe('running')
    const status = await untilEnded(id)
    expect(status).toMatchObject({ status: 'done', counts: { total: 120, done: 120 } })
    expect(Object.values(status.countries).reduce((sum, items) => sum + items, 0)).toBe(120)
    const { data, squares: values, next } = await resultsOf(id)
    expect(next).toBeNull()
    expect(data.map(({ index }) => index)).toEqual(Array.from({ length: 120 }, (_, i) => i))
    expect(values).toEqual(squaresTo(120))
    expect(jobsStartedOn(us)).toBe(0)
  })
})

describe('cancelling a batch', () => {
  it('stops its running items, and starts no more', async () => {
    const id = await submit(batchOf(1_000, TURNS, { concurrency: 4 }))
    await until('it runs', async () => (await statusOf(id)).counts.running > 0)
    const status = jobs.BatchReply.parse((await stack.delete(tenant, `/v1/jobs/${id}`)).body)
    expect(status).toMatchObject({ status: 'cancelled', counts: { queued: 0, running: 0 } })
    await until('the node is idle', async () => {
      const { body } = await stack.get(tenant, '/v1/network/nodes')
      return (body.nodes as { inFlight: number }[]).every(({ inFlight }) => inFlight === 0)
    })
    // After the end of another job, all earlier log lines of the node have arrived.
    await untilEnded(await submit(batchOf(1)))
    const begun = jobsStartedOn(eu)
    await untilEnded(await submit(batchOf(1)))
    await until('its start is written', () => jobsStartedOn(eu) > begun)
    expect(jobsStartedOn(eu)).toBe(begun + 1)
  })
})

describe('a batch that no connected node may run', () => {
  it('fails at once and names the rule and what it needs', async () => {
    const residency = { residency: { allow: ['DE'] } }
    const { status, failures } = await untilEnded(await submit(batchOf(4, 1, residency)))
    expect(status).toBe('failed')
    expect(failures[0]).toMatchObject({
      code: 'residency_unsatisfiable',
      rule: 'compute.allow',
      needed: expect.stringContaining('DE') as string,
    })
  })
})

describe('cancelling a batch whose node does not answer', () => {
  it('frees the slots that the hub counts on the node', async () => {
    const inFlight = async () => {
      const { body } = await stack.get(tenant, '/v1/network/nodes')
      const nodes = body.nodes as { nodeId: string; inFlight: number }[]
      return nodes.find(({ nodeId }) => nodeId === eu.nodeId)?.inFlight
    }
    // A node gets one job at a time until it has answered one.
    await untilEnded(await submit(batchOf(1)))
    // The stopped process takes jobs and never answers.
    process.kill(eu.pid, 'SIGSTOP')
    try {
      const id = await submit(batchOf(2))
      await until('both items are on the node', async () => (await inFlight()) === 2)
      await stack.delete(tenant, `/v1/jobs/${id}`)
      await until('both places are free', async () => (await inFlight()) === 0)
    } finally {
      process.kill(eu.pid, 'SIGCONT')
    }
  })
})

describe('the events of a batch', () => {
  it('report each item and the end once, also to a reader that reconnects', async () => {
    const id = await submit(batchOf(12))
    const read = async (lastEventId: string) => {
      const response = await fetch(`${stack.url}/v1/jobs/${id}/events`, {
        headers: { authorization: `Bearer ${tenant.apiKey}`, 'last-event-id': lastEventId },
        signal: AbortSignal.timeout(60_000),
      })
      return { status: response.status, text: await response.text() }
    }
    const whole = (await read('0')).text
    const ids = [...whole.matchAll(/^id: (\d+)\nevent: item$/gm)].map(([, at]) => Number(at))
    expect(ids).toEqual(Array.from({ length: 12 }, (_, i) => i + 1))
    expect(whole.match(/^event: end$/gm)).toHaveLength(1)
    const rest = (await read('9')).text
    expect([...rest.matchAll(/^event: item$/gm)]).toHaveLength(3)
    expect((await read('13')).status).toBe(204)
  })
})

describe('the webhook of a batch', () => {
  let receiver: Server
  afterAll(() => receiver?.close())

  it('is signed and retried, and the package standardwebhooks verifies it', async () => {
    const got: { headers: Record<string, string>; body: string }[] = []
    receiver = createServer((request, response) => {
      let body = ''
      request.on('data', (chunk: Buffer) => (body += chunk.toString()))
      request.on('end', () => {
        got.push({ headers: request.headers as Record<string, string>, body })
        // The first attempt fails: the same message comes again.
        response.writeHead(got.length === 1 ? 500 : 204).end()
      })
    })
    await new Promise<void>((done) => receiver.listen(0, '127.0.0.1', done))
    const address = receiver.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const webhook = { url: `http://127.0.0.1:${port}/hook` }
    const { body } = await stack.post(tenant, '/v1/jobs', batchOf(2, 1, { webhook }))
    const { id, webhookSecret } = jobs.CreatedBatchReply.parse(body)
    await until('it has come twice', () => got.length === 2)
    const verifier = new Webhook(webhookSecret ?? '')
    for (const { headers, body: text } of got) {
      expect(verifier.verify(text, headers)).toMatchObject({
        type: 'batch.done',
        data: { id, status: 'done', counts: { done: 2 } },
      })
    }
    expect(got[0]?.headers['webhook-id']).toBe(got[1]?.headers['webhook-id'])
    expect(() => verifier.verify(`${got[0]?.body} `, got[0]?.headers ?? {})).toThrow()
    await until('it is noted', async () => (await statusOf(id)).webhook?.state === 'delivered')
  })

  it('is refused for an address that is not public', async () => {
    for (const url of ['http://example.org/', 'https://10.0.0.1/', 'https://[fd00::1]/']) {
      const batch = batchOf(1, 1, { webhook: { url } })
      const { status, body } = await stack.post(tenant, '/v1/jobs', batch)
      expect([url, status, body.code]).toEqual([url, 400, 'invalid_request'])
    }
  })
})

describe('results of a policy that keeps records for a day', () => {
  it('are kept no longer: a batch that asks for more is refused', async () => {
    const other = await stack.createTenant('brief', ['infer', 'policy'])
    await stack.pin(other, { ...openPolicy('EU'), retentionDays: 1 })
    const ask = (retentionMinutes: number) =>
      stack.post(other, '/v1/jobs', batchOf(1, 1, { retentionMinutes }))
    const refused = await ask(1_441)
    expect(refused.status).toBe(400)
    expect(refused.body['errors']).toMatchObject([{ pointer: '/retentionMinutes' }])
    expect((await ask(1_440)).status).toBe(202)
  })
})

describe('the examples', () => {
  const run = (body: object) => runBatch({ url: stack.url, key: tenant.apiKey }, body)

  it('render the same picture however it is split', async () => {
    const picture = { tiles: 2, tilePixels: 8, samples: 1, passes: 2, seed: 5 }
    const splits = [64, 32, 100].map((step) => ({ ...picture, step }))
    const pictures = []
    for (const split of splits) {
      pictures.push(developPicture(split, (await run(pictureBatch(split))).results))
    }
    const [first] = pictures
    expect(new Set(first).size).toBeGreaterThan(20)
    for (const other of pictures) expect(other).toEqual(first)
  })

  it('agree with the exact result for a slab that only absorbs', async () => {
    const thicknesses = [0.5, 1, 2]
    const study = { thicknesses, scattering: 0, historiesPerItem: 512, items: 16, seed: 3 }
    const { results } = await run(studyBatch(study))
    const items = [...results.values()].map((bytes) => readTallies(bytes))
    for (const [i, thickness] of thicknesses.entries()) {
      const shares = items.map((item) => {
        const tally = item[i] ?? { through: 0, back: 0, absorbed: 0 }
        expect(tally.through + tally.back + tally.absorbed).toBe(512)
        expect(tally.back).toBe(0)
        return shareThrough(tally)
      })
      const { mean, standardError } = estimate(shares)
      expect(standardError).toBeLessThan(0.02)
      expect(Math.abs(mean - Math.exp(-thickness))).toBeLessThan(4 * standardError)
    }
  })
})

describe('a batch that is no longer wanted', () => {
  it('[AU8] is erased with the receipts of its items by an admin key, and the log proves it', async () => {
    const own = await stack.createTenant('eraser', ['infer', 'policy', 'audit', 'admin'])
    await stack.pin(own, openPolicy('EU'))
    const taken = await stack.post(own, '/v1/jobs', batchOf(4))
    const { id } = jobs.CreatedBatchReply.parse(taken.body)
    const read = () => stack.get(own, `/v1/jobs/${id}`)
    await until('the batch is done', async () => (await read()).body['status'] === 'done')
    const { data } = jobs.ResultsReply.parse((await stack.get(own, `/v1/jobs/${id}/results`)).body)
    let erased = 0
    await until('every receipt is erased', async () => {
      const { body } = await stack.delete(own, `/v1/jobs/${id}?erase=true`)
      const { proofs, pending } = BatchErasureReply.parse(body)
      for (const { receipts } of proofs) erased += receipts
      return pending.length === 0
    })
    expect(erased).toBe(4)
    expect((await read()).status).toBe(404)
    for (const { receipt } of data)
      expect((await stack.get(own, `/v1/receipts/${receipt}`)).status).toBe(404)
    const { body } = await stack.get(own, '/v1/audit/events?type=job.erased')
    expect(EntriesReply.parse(body).data.length).toBeGreaterThan(0)
  })
})
