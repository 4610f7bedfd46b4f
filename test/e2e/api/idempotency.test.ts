/** Idempotency keys against the whole system: real HTTP, a real node, receipts counted in the ledger. */
import { readdirSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { until } from '#test/support/poll.ts'
import { readExposition } from '#test/support/prometheus.ts'
import { openPolicy, useStack } from '#test/support/stack/stack.ts'

const MODEL = 'littoral-embed-400k'
const RETRIES = 1_000

const { stack, tenant } = useStack({ scopes: ['infer', 'policy', 'audit'] })
beforeAll(async () => {
  await stack.startNode({ name: 'de', region: 'DE', verified: true, device: 'cpu' })
})

const Network = z.looseObject({
  settlement: z.looseObject({ pendingReceipts: z.int(), settledReceipts: z.int() }),
})

/** Jobs that reached the hub, ended or running, so that quick ones are counted too. */
async function countJobs(): Promise<number> {
  const families = readExposition(await (await fetch(`${stack.url}/metrics`)).text())
  return ['littoral_jobs_total', 'littoral_jobs_active']
    .flatMap((name) => families.get(name)?.samples ?? [])
    .reduce((sum, { value }) => sum + value, 0)
}

let markers = 0

/**
 * Receipts in the ledger once everything so far has arrived.
 * A hub delivers in order, so a job of our own arrives last.
 */
async function countReceipts(): Promise<number> {
  markers += 1
  const { headers } = await embed('marker', `marker-${markers}`)
  const path = `/v1/receipts/${headers.get('x-littoral-receipt')}`
  await until('the marker is settled', async () => {
    const { body } = await stack.get(tenant, path)
    return body.status === 'settled'
  })
  const { settlement } = Network.parse(await (await fetch(`${stack.url}/v1/network`)).json())
  return settlement.pendingReceipts + settlement.settledReceipts
}

const embed = (input: string, key: string, headers: Record<string, string> = {}) =>
  stack.post(
    tenant,
    '/v1/embeddings',
    { model: MODEL, input },
    { 'idempotency-key': key, ...headers },
  )

/** Advances all tenants' keys by ninety seconds, while no Worker runs. */
function endLeases(dir: string): void {
  const folder = join(dir, 'worker/durable-objects/littoral-Tenant')
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.sqlite'))) {
    const database = new DatabaseSync(join(folder, name))
    const table = "SELECT 1 FROM sqlite_master WHERE name = 'idempotency'"
    if (database.prepare(table).get() !== undefined)
      database.exec('UPDATE idempotency SET lease_until_ms = 1 WHERE lease_until_ms IS NOT NULL')
    database.close()
  }
}

describe('an idempotency key', () => {
  it('[I1] makes a thousand concurrent retries one job and one charge', async () => {
    const before = await countReceipts()
    const answers = await Promise.all(
      Array.from({ length: RETRIES }, () => embed('turn on the light', 'retry-1')),
    )
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    expect(new Set(answers.map(({ headers }) => headers.get('x-littoral-receipt'))).size).toBe(1)
    expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1)
    const replayed = answers.filter(({ headers }) => headers.get('idempotency-replayed') === 'true')
    expect(replayed).toHaveLength(RETRIES - 1)
    expect((await countReceipts()) - before).toBe(1 + 1)
  })

  it('[I2] gives the same answer again, with the headers of the first and its own request id', async () => {
    const first = await embed('again', 'again-1')
    const second = await embed('again', '"again-1"')
    expect(second.body).toEqual(first.body)
    for (const name of ['node', 'region', 'evidence', 'receipt', 'provider', 'adapter', 'policy']) {
      const header = `x-littoral-${name}`
      expect([header, second.headers.get(header)]).toEqual([header, first.headers.get(header)])
    }
    expect(first.headers.has('idempotency-replayed')).toBe(false)
    expect(second.headers.get('x-request-id')).not.toBe(first.headers.get('x-request-id'))
  })

  it('[I3] with another body, path or policy is refused as a mistake', async () => {
    await embed('one', 'mistake-1')
    const cases = [
      await embed('two', 'mistake-1'),
      await embed('one', 'mistake-1', { 'x-littoral-residency': 'DE' }),
      await stack.post(tenant, '/v1/compute', {}, { 'idempotency-key': 'mistake-1' }),
    ]
    for (const { status, body, headers } of cases) {
      expect(status).toBe(422)
      expect(body.code).toBe('idempotency_key_reused')
      expect(headers.get('x-should-retry')).toBe('false')
    }
  })

  it('[I4] is free again after a refusal', async () => {
    const refused = await embed('', 'fixed-1')
    expect(refused.status).toBe(400)
    expect((await embed('now with words', 'fixed-1')).status).toBe(200)
  })

  it('belongs to its tenant', async () => {
    const other = await stack.createTenant('other', ['infer', 'policy'])
    await stack.pin(other, openPolicy('EU'))
    const body = { model: MODEL, input: 'whose' }
    const key = { 'idempotency-key': 'shared-1' }
    const mine = await stack.post(tenant, '/v1/embeddings', body, key)
    const theirs = await stack.post(other, '/v1/embeddings', body, key)
    expect(theirs.headers.has('idempotency-replayed')).toBe(false)
    expect(theirs.headers.get('x-littoral-receipt')).not.toBe(
      mine.headers.get('x-littoral-receipt'),
    )
  })

  it('that is no header value is refused', async () => {
    expect((await embed('x', '')).status).toBe(400)
    expect((await embed('x', 'k'.repeat(300))).status).toBe(400)
  })

  it('[I5] finds the answer of a caller that hung up', async () => {
    const body = JSON.stringify({
      model: MODEL,
      input: Array.from({ length: 200 }, (_, i) => `t${i}`),
    })
    const headers = {
      authorization: `Bearer ${tenant.apiKey}`,
      'content-type': 'application/json',
      'idempotency-key': 'left-1',
    }
    const before = await countReceipts()
    const jobs = await countJobs()
    const left = httpRequest(`${stack.url}/v1/embeddings`, { method: 'POST', headers })
    left.on('error', () => {})
    left.end(body)
    await until('the job is at the hub, or was', async () => (await countJobs()) > jobs)
    left.destroy()
    const again = await fetch(`${stack.url}/v1/embeddings`, { method: 'POST', headers, body })
    expect(again.status).toBe(200)
    expect(again.headers.get('idempotency-replayed')).toBe('true')
    await again.arrayBuffer()
    expect((await countReceipts()) - before).toBe(1 + 1)
  })

  it('[I1] replays a streamed chat word for word, for one charge', async () => {
    const chat = () =>
      fetch(`${stack.url}/v1/chat/completions`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${tenant.apiKey}`,
          'content-type': 'application/json',
          'idempotency-key': 'stream-1',
        },
        body: JSON.stringify({
          model: 'littoral-chat-2m',
          messages: [{ role: 'user', content: 'hello' }],
          max_tokens: 8,
          temperature: 0,
          stream: true,
        }),
      })
    const before = await countReceipts()
    const answers = await Promise.all(Array.from({ length: 20 }, chat))
    const texts = await Promise.all(answers.map((answer) => answer.text()))
    expect(texts[0]).toMatch(/^data: .*data: \[DONE\]\s*$/s)
    expect(new Set(texts).size).toBe(1)
    for (const { status, headers } of answers) {
      expect(status).toBe(200)
      expect(headers.get('content-type')).toContain('text/event-stream')
    }
    const replayed = answers.filter(({ headers }) => headers.has('idempotency-replayed'))
    expect(replayed).toHaveLength(19)
    expect((await countReceipts()) - before).toBe(1 + 1)
  })

  it('is one charge although the Worker is killed in the middle of 156 of them', async () => {
    const keys = Array.from({ length: 156 }, (_, i) => `killed-${i}`)
    const before = await countReceipts()
    let answered = 0
    const enough = Promise.withResolvers<void>()
    const first = Promise.allSettled(
      keys.map(async (key) => {
        await embed(`job ${key}`, key)
        answered += 1
        if (answered === 40) enough.resolve()
      }),
    )
    await enough.promise
    // Keys whose answer was lost are held by dead requests, so their leases are expired here.
    await stack.restartWorker('kill', () => endLeases(stack.dir))
    const lost = (await first).filter(({ status }) => status === 'rejected')
    expect(lost.length).toBeGreaterThan(0)
    for (const key of keys) {
      await until(`${key} is answered`, async () => {
        const again = await embed(`job ${key}`, key).catch(() => undefined)
        return again?.status === 200
      })
    }
    expect((await countReceipts()) - before).toBe(keys.length + 1)
  })

  it('[I6] survives a power cut of the Worker', async () => {
    const first = await embed('power', 'power-1')
    await stack.restartWorker('kill')
    const again = await embed('power', 'power-1')
    expect(again.status).toBe(200)
    expect(again.headers.get('idempotency-replayed')).toBe('true')
    expect(again.body).toEqual(first.body)
  })
})
