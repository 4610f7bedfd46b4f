/** Each of the four enforcement points alone: the others are removed, or work against it. */
import { Canceller } from '#p2p/stream/cancellation.ts'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { bytesToHex } from 'viem'
import { randomBytes } from '#shared/base/ids.ts'
import type { CompiledPolicy } from '#shared/law/policy.ts'
import { digestBytes } from '#shared/receipt/receipt.ts'
import { countrySet } from '#shared/law/region.ts'
import { issueTicket } from '#worker/hub/attempts/ticket.ts'
import {
  createHubBench,
  kernelRequest,
  type TestHubBench,
  type TestMember,
} from '#test/support/hub/hub.ts'
import { groupOf } from '#test/support/hub/receipts.ts'
import { CONSUMER, settleAll, useLedgerBench } from '#test/support/storage/ledger.ts'
import { compiled as compile } from '#test/support/hub/policies.ts'
import { placeIn } from '#test/support/hub/place.ts'
import { asPolicy } from '#test/support/hub/as-policy.ts'
import { openApp } from '#test/support/worker-app.ts'

const PAYLOAD = new Uint8Array([1, 2, 3, 4])
const EVERYWHERE = countrySet(['WORLD'])

const compiled = (policy: object) => compile({ compute: { allow: ['EU'] }, ...policy })

describe('the Worker alone, with hubs that would take anything', () => {
  // The build replaces it with a literal.
  beforeAll(() => void vi.stubGlobal('__SIMULATED_PLACES__', false))
  afterAll(() => void vi.unstubAllGlobals())

  async function createWorker(policy: object) {
    const reached: string[] = []
    const greedy = {
      fetch: async (request: Request) => {
        reached.push(await request.text())
        return new Response(null, { status: 500 })
      },
    }
    const { core, post } = await openApp({ hub: greedy, vars: { INGRESS_COUNTRY: 'US' } })
    // Straight into the store: what publishing would have refused must be refused here, too.
    const anywhere = { ingress: { allow: ['WORLD'] }, compute: { allow: ['EU'] } }
    core.policies.publish(asPolicy({ id: 'alone', ...anywhere, ...policy }))
    core.policies.setDefault('alone')
    return async (headers: Record<string, string> = {}) => {
      const body = JSON.stringify({
        model: 'littoral-embed-400k',
        input: 'secret',
        policy: 'alone',
      })
      const reply = await post('/v1/embeddings', body, headers)
      return { status: reply.status, body: (await reply.json()) as object, reached }
    }
  }

  it('sends nothing of a job that entered in a country its policy does not allow', async () => {
    const post = await createWorker({ ingress: { allow: ['EU'] } })
    const { status, body, reached } = await post()
    expect(status).toBe(422)
    expect(body).toMatchObject({ code: 'residency_ingress_denied', rule: 'ingress.allow' })
    expect(reached).toEqual([])
  })

  it('sends nothing of a job for which no country is left', async () => {
    const post = await createWorker({})
    const { body, reached } = await post({ 'x-littoral-residency': 'US' })
    expect(body).toMatchObject({ code: 'residency_unsatisfiable', rule: 'compute.allow' })
    expect(reached).toEqual([])
  })

  it('sends nothing of a job whose records no hub may keep', async () => {
    const post = await createWorker({ storage: 'eu' })
    const { body, reached } = await post()
    expect(body).toMatchObject({ code: 'residency_unsatisfiable', rule: 'storage.jurisdiction' })
    expect(reached).toEqual([])
  })

  it('sends an allowed job, so the hubs are there', async () => {
    const { reached } = await (await createWorker({}))()
    expect(reached).toHaveLength(1)
    expect(reached[0]).toContain('secret')
  })
})

describe('Hub and node', () => {
  let bench: TestHubBench
  beforeAll(async () => void (bench = await createHubBench()))
  afterAll(() => bench?.close())

  /** A node that checks nothing, and the payloads that reached it. */
  async function joinCareless(country: string) {
    const reached: Uint8Array[] = []
    const run = (_offer: unknown, payload: Uint8Array) => {
      reached.push(payload)
      return Promise.reject(new Error('a node that checks nothing'))
    }
    return { node: await bench.join({ country, run }), reached }
  }

  async function leave(node: TestMember) {
    await node.disconnect()
    await vi.waitFor(() => expect(bench.directory.size).toBe(0))
  }

  /** Reasons for which a policy can refuse this test's node. It is in the US, public and in no network. */
  const REFUSED: readonly (readonly [string, object])[] = [
    ['compute.allow', {}],
    ['compute.allow', { compute: { allow: ['WORLD'], deny: ['US_ALL'] } }],
    ['evidence.min', { compute: { allow: ['US'] }, minEvidence: 'bounded' }],
    ['data_class.phi', { compute: { allow: ['US'] }, dataClass: 'phi' }],
    ['data_class.personal', { compute: { allow: ['US'] }, dataClass: 'personal' }],
    ['node_trust.min', { compute: { allow: ['US'] }, nodeTrust: 'verified' }],
    ['network.member', { compute: { allow: ['US'] }, network: 'clinics' }],
    ['verification.min', { compute: { allow: ['US'] }, verification: 'replicated' }],
  ]

  it.each(REFUSED)(
    'the Hub alone refuses by %s, with a Worker that allows everything and a node that checks nothing',
    async (rule, policy) => {
      const { node, reached } = await joinCareless('US')
      const sent = bench.ask(compiled(policy), PAYLOAD, { allowed: EVERYWHERE })
      await expect(sent).rejects.toMatchObject({ code: 'residency_unsatisfiable', meta: { rule } })
      expect(reached).toEqual([])
      await leave(node)
    },
  )

  it('the Hub alone sends nothing under a ticket with a place outside the policy, wherever the node is now', async () => {
    const { node, reached } = await joinCareless('DE')
    const member = bench.directory.get(node.nodeId)
    if (member === undefined) throw new Error('the node is not there')
    // The node is in Germany when chosen, in the US for the ticket, and in Germany again before the job is sent.
    const places = ['DE', 'US'].map((code) => placeIn(code))
    const place = vi.fn(() => places.shift() ?? placeIn('DE'))
    bench.directory.add({ ...member, evidence: { place, record: () => null } })
    const sent = bench.ask(compiled({}), PAYLOAD)
    await expect(sent).rejects.toMatchObject({ code: 'node_lost' })
    expect(place.mock.calls.length).toBeGreaterThan(2)
    expect(reached).toEqual([])
    bench.directory.add(member)
    await leave(node)
  })

  it.each(REFUSED)(
    'the node alone refuses by %s, with a Worker and a Hub that send it the job anyway',
    async (rule, policy) => {
      const node = await bench.join({ country: 'US' })
      await expect(sendPast(node.nodeId, compiled(policy))).rejects.toMatchObject({
        code: 'residency_unsatisfiable',
        meta: { rule },
      })
      expect(node.ran).toEqual([])
      await leave(node)
    },
  )

  it('the node alone runs what its policy allows, and nothing under an altered policy', async () => {
    const node = await bench.join({ country: 'US', networks: ['clinics'] })
    const policy = compiled({ compute: { allow: ['US'] }, network: 'clinics' })
    await sendPast(node.nodeId, policy)
    expect(node.ran).toEqual([PAYLOAD])
    const widened = { ...compiled({}), compute: EVERYWHERE }
    await expect(sendPast(node.nodeId, widened)).rejects.toMatchObject({ code: 'forbidden' })
    expect(node.ran).toHaveLength(1)
    await node.disconnect()
  })

  /** The hub's own ticket and its job, without the hub's filter. */
  async function sendPast(nodeId: string, policy: CompiledPolicy) {
    const member = bench.directory.get(nodeId)
    if (member === undefined) throw new Error('the node is not there')
    const request = await kernelRequest(policy, PAYLOAD, { allowed: EVERYWHERE })
    const salt = bytesToHex(randomBytes(32))
    const inputDigest = await digestBytes(PAYLOAD)
    const ticket = issueTicket(
      { request, member, attempt: 1, salt, inputDigest },
      { hub: 'hub-test', nowMs: Date.now() },
    )
    const { work } = request
    const offer = { ticket, policy, work, salt, traceparent: null }
    const cancellation = new Canceller()
    return await member.link.run(offer, PAYLOAD, { cancellation, onChunk: () => {} })
  }
})

describe('settlement alone, with Worker, Hub and node colluding', () => {
  const bench = useLedgerBench()

  // The contract also refuses what the Ledger does not: test_postBatch_revertsOutsideThePolicyNamingIt.
  it('pays for nothing that ran outside its policy, and posts nothing of it', async () => {
    const { maker, chain } = bench
    const ledger = bench.start()
    const outside = await maker.make({ policy: compiled({}), place: placeIn('US') })
    const unbounded = await maker.make({
      policy: compiled({ minEvidence: 'bounded' }),
      place: { evidence: 'bounded', possible: countrySet(['DE', 'CH']) },
    })
    const entries = [outside, unbounded].map((receipt) => ({ receipt, consumer: CONSUMER }))
    expect(await ledger.accept(groupOf(entries), [])).toMatchObject([
      { status: 'refused', refusal: 'compute.allow' },
      { status: 'refused', refusal: 'evidence.bounds' },
    ])
    await settleAll(bench, ledger)
    expect(chain.posted).toEqual([])
    const inside = await maker.make({ policy: compiled({}) })
    expect(
      await ledger.accept(groupOf([{ receipt: inside, consumer: CONSUMER }]), []),
    ).toMatchObject([{ status: 'pending' }])
  })
})
