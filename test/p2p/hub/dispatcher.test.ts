import type { Engine } from '#engine/engine.ts'
import { standsAt } from '#test/support/hub/place.ts'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { AppError, errorCode } from '#shared/base/errors.ts'
import { newJobId } from '#shared/base/ids.ts'
import { manifestDigest } from '#shared/job/model.ts'
import {
  commitment,
  digestBytes,
  RECEIPT_LAYOUT,
  receiptId,
  type NodeWork,
  type Ticket,
} from '#shared/receipt/receipt.ts'
import { countryBit, countrySet } from '#shared/law/region.ts'
import { verifyLeaf } from '#shared/proof/tree-signature.ts'
import { encodeBytes } from '#shared/job/tensor.ts'
import {
  createHubBench,
  DOMAIN,
  INVERT,
  kernelRequest,
  type TestHubBench,
  type TestMember,
} from '#test/support/hub/hub.ts'
import { EMBEDDING_MANIFEST } from '#test/support/hub/manifests.ts'
import { compiled, TENANT } from '#test/support/hub/policies.ts'
import { codeOf } from '#test/support/hub/work.ts'
import { until } from '#test/support/poll.ts'
import { DISPATCH_ATTEMPTS } from '#worker/protocols/hub.ts'

const EU = compiled({ compute: { allow: ['EU'], deny: [] } })
const WORLD = compiled({ compute: { allow: ['WORLD'], deny: [] } })
const payload = new Uint8Array([1, 2, 3, 4])
const inverted = new Uint8Array([254, 253, 252, 251])
const never = new AbortController().signal

/** A job that reports its start and never ends. */
function hang(started: PromiseWithResolvers<void>): Promise<never> {
  started.resolve()
  return new Promise(() => {})
}

let hub: TestHubBench
beforeEach(async () => void (hub = await createHubBench()))
afterEach(() => hub.close())

describe('a hub that dispatches over real work streams', () => {
  it('answers with the bytes that the node computed and a receipt that both have signed', async () => {
    await hub.join({ country: 'DE' })
    const { outcome, payload: answer } = await hub.ask(EU, payload)
    expect(answer).toEqual(inverted)
    expect(outcome).toMatchObject({ units: 3, amountMicroUsd: '21', attempts: 1 })
    const entry = hub.outbox.document(TENANT, outcome.receiptId)
    expect(entry).not.toBeNull()
    if (entry === null) return
    const { receipt, nodeSignature, hubSignature, hubKey } = entry.receipt
    const id = receiptId(RECEIPT_LAYOUT.encode(DOMAIN, receipt))
    expect(id).toBe(outcome.receiptId)
    const byNode = { by: 'node', domain: DOMAIN, key: receipt.receiptKey } as const
    const byHub = { by: 'hub', domain: DOMAIN, key: hubKey } as const
    expect(await verifyLeaf(id, nodeSignature, byNode)).toBe(true)
    expect(await verifyLeaf(id, hubSignature, byHub)).toBe(true)
    const { salt } = entry
    expect(receipt.outputCommitment).toBe(salt && commitment(salt, await digestBytes(inverted)))
    expect(JSON.stringify(entry)).not.toContain(await digestBytes(payload))
  })

  it('[R1] gives an EU job to the EU node and not one byte of it to a nearer US node', async () => {
    const us = await hub.join({ country: 'US' })
    const eu = await hub.join({ country: 'FR' })
    for (let i = 0; i < 5; i += 1) {
      const { outcome } = await hub.ask(EU, payload)
      expect(outcome.nodeId).toBe(eu.nodeId)
    }
    expect(us.ran).toEqual([])
  })

  it('[R9] refuses with the rule when only excluded nodes are there, and leaves nothing in the outbox', async () => {
    const us = await hub.join({ country: 'US' })
    await expect(hub.ask(EU, payload)).rejects.toMatchObject({
      code: 'residency_unsatisfiable',
      meta: { rule: 'compute.allow' },
    })
    expect(us.ran).toEqual([])
    expect(hub.outbox.isEmpty()).toBe(true)
  })

  it('never uses a node whose claim its connection contradicts', async () => {
    await hub.join({ country: 'DE', seenAs: 'US' })
    await expect(hub.ask(WORLD, payload)).rejects.toMatchObject({
      code: 'residency_unsatisfiable',
      meta: { rule: 'evidence.contradicted' },
    })
  })

  it('narrows to what the request asked for', async () => {
    await hub.join({ country: 'DE' })
    await expect(hub.ask(EU, payload, { allowed: countrySet(['FR']) })).rejects.toMatchObject({
      code: 'residency_unsatisfiable',
    })
  })

  it('answers on another allowed node when the first dies in the middle of the job', async () => {
    const started = Promise.withResolvers<void>()
    const dying = await hub.join({ country: 'DE', run: () => hang(started) })
    const answered = hub.ask(EU, payload)
    await started.promise
    const spare = await hub.join({ country: 'FR' })
    await dying.disconnect()
    const { outcome, payload: answer } = await answered
    expect(answer).toEqual(inverted)
    expect(outcome).toMatchObject({ nodeId: spare.nodeId, attempts: 2 })
  })

  it('keeps the place of a cancelled job taken until its node has ended it', async () => {
    const wound = Promise.withResolvers<void>()
    let begun = 0
    const node = await hub.join({
      country: 'DE',
      maxJobs: 1,
      run: async (_offer, _payload, next) => {
        begun += 1
        if (begun === 1) await wound.promise
        return next()
      },
    })
    const caller = new AbortController()
    const cancelled = codeOf(hub.ask(EU, payload, { signal: caller.signal }))
    await until('the node has it', () => begun === 1)
    caller.abort()
    expect(await cancelled).toBe('cancelled')
    const next = hub.ask(EU, payload)
    await until(
      'the next waits or runs',
      () => begun > 1 || hub.dispatcher.gauges().waitingJobs > 0,
    )
    expect(begun).toBe(1)
    wound.resolve()
    expect((await next).outcome).toMatchObject({ nodeId: node.nodeId, attempts: 1 })
  })

  it('[L3] counts a repeated job as further attempts: it has two receipts, of which one can be paid', async () => {
    await hub.join({ country: 'DE' })
    const request = await kernelRequest(EU, payload)
    await hub.dispatcher.dispatch(request, payload, never)
    // Its caller died before the answer came, and sends it again.
    const again = { ...request, firstAttempt: 1 + DISPATCH_ATTEMPTS }
    const { outcome } = await hub.dispatcher.dispatch(again, payload, never)
    expect(outcome.attempts).toBe(1)
    const tickets = hub.outbox
      .next(0, 10)
      .flatMap(({ receipts }) => receipts.map(({ ticket }) => ticket))
    expect(tickets.map(({ jobId, attempt }) => [jobId, attempt])).toEqual([
      [request.jobId, 1],
      [request.jobId, 1 + DISPATCH_ATTEMPTS],
    ])
  })

  it('[R8] fails with node_lost rather than cross the policy when the only allowed node dies', async () => {
    const started = Promise.withResolvers<void>()
    const dying = await hub.join({ country: 'DE', run: () => hang(started) })
    const answered = hub.ask(EU, payload)
    const refused = expect(answered).rejects.toMatchObject({ code: 'node_lost' })
    await started.promise
    const us = await hub.join({ country: 'US' })
    await dying.disconnect()
    await refused
    expect(us.ran).toEqual([])
  })

  it('[R8] ends running and waiting jobs with the same error when their only allowed node leaves', async () => {
    const started = Promise.withResolvers<void>()
    const leaving = await hub.join({ country: 'FR', run: () => hang(started) })
    const us = await hub.join({ country: 'US' })
    const french = compiled({ compute: { allow: ['FR'], deny: [] } })
    const ask = async () => hub.ask(french, payload)
    const ends = Promise.allSettled(Array.from({ length: 4 }, ask))
    await started.promise
    await until('the others wait', () => hub.dispatcher.gauges().waitingJobs === 3)
    await leaving.disconnect()
    await until('it is gone', () => hub.directory.size === 1)
    hub.dispatcher.capacity.notifyAll()
    const codes = (await ends).map((end) => end.status === 'rejected' && errorCode(end.reason))
    expect(codes).toEqual(['node_lost', 'node_lost', 'node_lost', 'node_lost'])
    // Jobs that come after the node has left are told that there is none.
    await expect(ask()).rejects.toMatchObject({ code: 'residency_unsatisfiable' })
    expect(us.ran).toEqual([])
  })

  it('quarantines a node whose receipt bills more than the ticket, pays it nothing and answers elsewhere', async () => {
    let honest: TestMember | undefined
    const greedy = await hub.join({
      country: 'DE',
      run: async (_offer, _payload, next) => {
        honest = await hub.join({ country: 'DE' })
        const result = await next()
        return { ...result, work: { ...result.work, units: 999 } }
      },
    })
    const { outcome } = await hub.ask(EU, payload)
    expect(outcome.nodeId).toBe(honest?.nodeId)
    expect(hub.directory.get(greedy.nodeId)?.quarantine).toContain('do not match the ticket')
    expect(hub.outbox.size()).toBe(1)
  })

  it.each<[string, (ticket: Ticket) => Partial<NodeWork>]>([
    ['begins', () => ({ startedAtMs: 0 })],
    ['begins', ({ issuedAtMs }) => ({ startedAtMs: issuedAtMs - 1 })],
    ['ends', ({ issuedAtMs }) => ({ startedAtMs: issuedAtMs + 1, finishedAtMs: issuedAtMs })],
    ['ends', ({ expiresAtMs }) => ({ finishedAtMs: expiresAtMs + 1 })],
    ['ends', () => ({ finishedAtMs: 32_503_680_000_000 })],
    ['ends', ({ issuedAtMs }) => ({ finishedAtMs: issuedAtMs + 60_000 })],
  ])(
    '[F5] takes no receipt that %s outside its ticket or the hub’s own clock',
    async (said, times) => {
      const liar = await hub.join({
        country: 'DE',
        run: async (offer, _payload, next) => {
          const result = await next()
          return { ...result, work: { ...result.work, ...times(offer.ticket) } }
        },
      })
      await expect(hub.ask(EU, payload)).rejects.toBeDefined()
      expect(hub.directory.get(liar.nodeId)?.quarantine).toContain(`the receipt ${said}`)
      expect(hub.outbox.isEmpty()).toBe(true)
    },
  )

  it.each([1, 3])(
    '[F4] quarantines a node that answers two texts with %i vectors, and signs no receipt for it',
    async (rows) => {
      const bench = await createHubBench([EMBEDDING_MANIFEST])
      try {
        const digest = manifestDigest(EMBEDDING_MANIFEST)
        const answering = (count: number): Engine => ({
          ...INVERT,
          models: [{ id: EMBEDDING_MANIFEST.id, digest, provider: 'cpu', serviceMs: 1 }],
          async run(_work, _payload, { emit }) {
            const sizeBytes = count * 16
            await emit(new Uint8Array(sizeBytes))
            const tensor = { name: 'embedding', datatype: 'FP32' as const, shape: [count, 4] }
            const { adapter } = INVERT
            return { outputs: [{ ...tensor, sizeBytes }], provider: 'cpu', adapter, computeMs: 0 }
          },
        })
        const wrong = await bench.join({ country: 'DE', engine: answering(rows) })
        const texts = encodeBytes(['a', 'b'])
        const inputs = [
          { name: 'text', datatype: 'BYTES' as const, shape: [2], sizeBytes: texts.length },
        ]
        const work = { kind: 'model' as const, model: EMBEDDING_MANIFEST.id, digest, inputs }
        const request = await kernelRequest(EU, texts, { work })
        await expect(bench.dispatcher.dispatch(request, texts, never)).rejects.toMatchObject({
          code: 'node_lost',
        })
        expect(bench.directory.get(wrong.nodeId)?.quarantine).toContain('/outputs/0/shape')
        expect(bench.outbox.isEmpty()).toBe(true)
        const right = await bench.join({ country: 'FR', engine: answering(2) })
        const again = { ...request, jobId: newJobId() }
        const { outcome } = await bench.dispatcher.dispatch(again, texts, never)
        expect(outcome.nodeId).toBe(right.nodeId)
      } finally {
        await bench.close()
      }
    },
  )

  it('waits for a free slot when every allowed node is busy, and stops waiting when the caller leaves', async () => {
    const gate = Promise.withResolvers<void>()
    await hub.join({
      country: 'DE',
      maxJobs: 1,
      run: async (_offer, _payload, next) => {
        await gate.promise
        return next()
      },
    })
    const first = hub.ask(EU, payload)
    await until('the node is busy', () => hub.directory.describe()[0]?.inFlight === 1)
    const caller = new AbortController()
    const second = hub.ask(EU, payload, { signal: caller.signal })
    const third = hub.ask(EU, payload)
    await until('the others wait', () => hub.dispatcher.gauges().waitingJobs === 2)
    caller.abort()
    await expect(second).rejects.toMatchObject({ code: 'cancelled' })
    gate.resolve()
    expect((await first).payload).toEqual(inverted)
    expect((await third).payload).toEqual(inverted)
  })

  it('spreads a burst over all slots, and exceeds none', async () => {
    const nodes = await Promise.all(
      [8, 8, 8, 8].map((maxJobs) => hub.join({ country: 'DE', maxJobs })),
    )
    const answers = await Promise.all(Array.from({ length: 32 }, async () => hub.ask(EU, payload)))
    expect(answers.map(({ outcome }) => outcome.attempts)).toEqual(answers.map(() => 1))
    expect(nodes.reduce((sum, node) => sum + node.ran.length, 0)).toBe(32)
  })

  it('ends a job that takes too long with node_timeout', async () => {
    await hub.join({ country: 'DE', run: () => new Promise(() => {}) })
    await expect(hub.ask(EU, payload, { timeoutMs: 50 })).rejects.toMatchObject({
      code: 'node_timeout',
    })
  })

  it('[R11] lets a node forget a receipt that comes back, and owes nothing for it twice', async () => {
    await hub.join({ country: 'DE' })
    const { outcome } = await hub.ask(EU, payload)
    const entry = hub.outbox.document(TENANT, outcome.receiptId)
    if (entry === null) throw new Error('no receipt')
    const { jobId, hub: name } = entry.receipt.receipt.ticket
    const kept = { receiptId: outcome.receiptId, jobId, hub: name }
    await hub.dispatcher.redeliver(kept)
    expect(hub.outbox.size()).toBe(1)
    await expect(hub.dispatcher.redeliver({ ...kept, hub: 'hub-far' })).rejects.toMatchObject({
      code: 'forbidden',
    })
  })

  it('asks a second node before it believes one that calls the work invalid', async () => {
    let honest: TestMember | undefined
    await hub.join({
      country: 'DE',
      run: async () => {
        honest = await hub.join({ country: 'DE' })
        throw new AppError('invalid_request', 'no such kernel')
      },
    })
    const { outcome } = await hub.ask(EU, payload)
    expect(outcome.nodeId).toBe(honest?.nodeId)
  })

  it('believes it if no other node is left, or the others agree', async () => {
    const refuse = () => Promise.reject(new AppError('invalid_request', 'line 3 is wrong'))
    await hub.join({ country: 'DE', run: refuse })
    await hub.join({ country: 'DE', run: refuse })
    const third = await hub.join({ country: 'US' })
    await expect(hub.ask(EU, payload)).rejects.toMatchObject({
      code: 'invalid_request',
      detail: expect.stringContaining('line 3 is wrong'),
    })
    expect(third.ran).toEqual([])
  })

  it('keeps a node in quarantine when it reconnects', async () => {
    const lying = await hub.join({
      country: 'DE',
      run: async (_offer, _payload, next) => {
        const result = await next()
        return { ...result, work: { ...result.work, units: 999 } }
      },
    })
    await hub.ask(EU, payload).catch(() => {})
    const member = hub.directory.get(lying.nodeId)
    if (member === undefined) throw new Error('not a member')
    hub.directory.remove(member)
    hub.directory.add({ ...member, quarantine: null })
    expect(hub.directory.get(lying.nodeId)?.quarantine).toContain('do not match the ticket')
  })
})

describe('a node that does its own checks', () => {
  it('[R10] refuses a job whose policy excludes its own place even when the hub sends it', async () => {
    // The hub takes the US node for a German one, so its filter lets the node through.
    const liar = await hub.join({ country: 'US' })
    const member = hub.directory.get(liar.nodeId)
    if (member === undefined) throw new Error('not a member')
    Object.assign(member, {
      evidence: standsAt({ ...member.evidence.place(), country: countryBit('DE') }),
    })
    const german = compiled({ compute: { allow: ['DE'], deny: [] } })
    expect(hub.directory.describe()[0]?.country).toBe('DE')
    await expect(hub.ask(german, payload)).rejects.toMatchObject({
      code: 'node_lost',
      detail: expect.stringContaining('stands in US'),
    })
    expect(liar.ran).toEqual([])
  })
})
