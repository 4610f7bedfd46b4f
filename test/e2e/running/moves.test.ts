/** Nodes that move between hubs in workerd: on from a full hub, and away from a hub that its region lost. */
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NetworkReply } from '#shared/api/network.ts'
import type { NodeCore } from '#node-core/node-core.ts'
import { ReceiptDocument } from '#shared/receipt/receipt.ts'
import { NodeId, randomBytes } from '#shared/base/ids.ts'
import { hubAddress } from '#worker/api/nodes/hub-address.ts'
import { AdmissionClaims, signAdmission } from '#worker/edge/admission.ts'
import { until } from '#test/support/poll.ts'
import { readExposition } from '#test/support/prometheus.ts'
import { createKernelNode, KERNEL, type KernelNode } from '#test/support/nodes/kernel-node.ts'
import { ADMISSION_SECRET, OPERATOR_KEY, useWorker } from '#test/support/stack/worker.ts'

const worker = useWorker('development', {
  HUB_REGIONS: 'hub:any*2',
  HUB_SEATS: '2',
  INGRESS_COUNTRY: 'DE',
})
const nodes: NodeCore[] = []
let key: string
beforeAll(async () => {
  const scopes = ['infer', 'policy', 'audit'] as const
  key = (await worker.operator.createKey({ tenant: 'acme', scopes: [...scopes] })).key
})
afterAll(async () => {
  for (const node of nodes) await node.stop()
})

async function create(country: string, locate?: Parameters<typeof createKernelNode>[2]) {
  const node = await createKernelNode(worker.workerd.url, country, locate)
  nodes.push(node.core)
  return node
}

const hubOf = ({ core }: KernelNode) => {
  const { phase, welcome } = core.state()
  return phase === 'online' ? welcome?.hub : undefined
}

async function counts(): Promise<Record<string, number>> {
  const { hubs } = NetworkReply.parse((await worker.call('GET', '/v1/network')).body)
  return Object.fromEntries(hubs.map(({ hub, nodes: count }) => [hub, count]))
}

/** The address of the first of these hubs, with a token of this deployment that names them in this order. */
async function addressAt(hubs: readonly string[], nodeId: string): Promise<Multiaddr> {
  const { hubs: known } = NetworkReply.parse((await worker.call('GET', '/v1/network')).body)
  const peers = hubs.map((hub) => [hub, known.find((each) => each.hub === hub)?.peerId ?? ''])
  const [[hub = '', peerId = ''] = []] = peers
  const node = { nodeId: NodeId.parse(nodeId), claim: 'DE', trust: 'public' } as const
  const { token } = await signAdmission(
    { ...node, hubs: AdmissionClaims.shape.hubs.parse(Object.fromEntries(peers)) },
    { secret: ADMISSION_SECRET, nowMs: Date.now(), random: randomBytes },
  )
  const request = new Request(worker.workerd.url)
  const address = hubAddress(request, { hubAddress: '' }, { hub, peerId, token })
  return multiaddr(address.replace('%3Ftoken%3D', '%3Fsimulated_place%3DDE%26token%3D'))
}

describe('a region of two hubs of two seats', () => {
  let french: KernelNode

  it('sends a node on from a full hub, with the token that it has', async () => {
    const [first, second] = [await create('DE'), await create('DE')]
    for (const node of [first, second]) {
      await node.core.start()
      await until('at the first hub', () => hubOf(node) === 'hub-0')
    }
    await until('its summary', async () => (await counts())['hub-0'] === 2)
    french = await create('FR')
    await french.core.start()
    await until('at the second hub', () => hubOf(french) === 'hub-1')
    await second.core.stop()
    await until('a seat at each', async () => {
      const now = await counts()
      return now['hub-0'] === 1 && now['hub-1'] === 1
    })

    // Both have their admission while the first hub has a seat; only one of them finds it.
    const late: KernelNode = await create('DE', () => addressAt(['hub-0', 'hub-1'], late.nodeId))
    const taker: KernelNode = await create('DE', () => addressAt(['hub-0'], taker.nodeId))
    await taker.core.start()
    await until('the seat is taken', () => hubOf(taker) === 'hub-0')
    await late.core.start()
    await until('at the next hub', () => hubOf(late) === 'hub-1')
    expect(late.located()).toBe(1)
    await late.core.stop()
    await taker.core.stop()
  })

  it('moves the nodes of a hub that it loses; no answered job is lost or paid twice', async () => {
    const policy = {
      id: 'french',
      ingress: { allow: ['DE'] },
      compute: { allow: ['FR'] },
      dataClass: 'public',
    }
    await worker.call('PUT', '/v1/policies/french', { key, json: policy })
    const answered: string[] = []
    let asked = 0
    const ask = async () => {
      asked += 1
      const json = { ...KERNEL, policy: 'french' }
      const reply = await worker.call('POST', '/v1/compute', { key, json }).catch(() => undefined)
      const receipt = reply?.status === 200 ? reply.headers.get('x-littoral-receipt') : null
      if (receipt != null) answered.push(receipt)
    }
    await until('the policy is known', async () => {
      await ask()
      return answered.length > 0
    })
    for (let n = 0; n < 8; n += 1) await ask()
    // The first hub can seat all; the second holds receipts and has jobs in flight when it is lost.
    const inFlight = [ask(), ask(), ask()]
    await worker.killAndRestart({ HUB_REGIONS: 'hub:any*1', HUB_SEATS: '4' })
    await Promise.all(inFlight)
    await until('moved', () => hubOf(french) === 'hub-0')
    const before = answered.length
    await until('answered again', async () => {
      await ask()
      return answered.length > before
    })

    const hubs = new Set<string>()
    for (const id of answered) {
      const { status, body } = await worker.call('GET', `/v1/receipts/${id}`, { key })
      expect(status).toBe(200)
      hubs.add(ReceiptDocument.parse(body).receipt.receipt.ticket.hub)
    }
    expect([...hubs].toSorted()).toEqual(['hub-0', 'hub-1'])
    expect(new Set(answered).size).toBe(answered.length)
    // Jobs whose answer the power cut took may have a receipt; none has two.
    await until('delivered', async () => (await receiptsOfLedger()) >= answered.length)
    expect(await receiptsOfLedger()).toBeLessThanOrEqual(asked)
    await until('the lost hub has left', async () => (await counts())['hub-1'] === undefined)
  })
})

async function receiptsOfLedger(): Promise<number> {
  const { body } = await worker.call('GET', '/metrics', { key: OPERATOR_KEY })
  const samples = readExposition(String(body)).get('littoral_receipts')?.samples ?? []
  return samples.reduce((sum, { value }) => sum + value, 0)
}
