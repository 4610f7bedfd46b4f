/** Several hubs in workerd: they find each other, share their nodes, and measure each other's nodes. */
import { multiaddr } from '@multiformats/multiaddr'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AdmissionReply, NetworkNodesReply } from '#shared/api/network.ts'
import { NodeCore } from '#node-core/node-core.ts'
import { newIdentity, peerIdOf } from '#p2p/peers/node.ts'
import { silentLog } from '#shared/base/log.ts'
import { ReceiptDocument } from '#shared/receipt/receipt.ts'
import { createSigner, generateSigningKey } from '#shared/proof/signature.ts'
import { INVERT } from '#test/support/hub/hub.ts'
import { until } from '#test/support/poll.ts'
import { useWorker } from '#test/support/stack/worker.ts'

/** Three hubs on this machine that claim to be in Frankfurt. */
const HUB_REGIONS = ['hub-a', 'hub-b', 'hub-c'].map((name) => `${name}:any@50.11/8.68/10`).join(',')

const KERNEL = {
  kernel: {
    wgsl: '@group(0) @binding(0) var<storage, read_write> x: array<u32>; @compute @workgroup_size(1) fn main() { x[0] = ~x[0]; }',
    entryPoint: 'main',
    workgroups: [1, 1, 1],
  },
  buffers: [{ binding: 0, access: 'read_write', data: 'AAAAAA==', return: true }],
}

const worker = useWorker('development', { HUB_REGIONS, INGRESS_COUNTRY: 'DE' })
let auditor: string
const nodes: NodeCore[] = []
beforeAll(async () => {
  auditor = (await worker.operator.createKey({ tenant: 'auditors', scopes: ['audit'] })).key
})
afterAll(async () => {
  for (const node of nodes) await node.stop()
})

/** Starts a complete node at a chosen hub. */
async function join(claim: string, hub: string): Promise<NodeCore> {
  const identity = await newIdentity()
  const nodeId = peerIdOf(identity)
  const simulated = (address: string) =>
    multiaddr(address.replace(/%3Ftoken%3D/, `%3Fsimulated_place%3D${claim}%26token%3D`))
  const admit = async (own?: string) => {
    const headers = { 'x-littoral-simulated-place': claim }
    const json = { nodeId, claim, hub: own }
    const { body } = await worker.call('POST', '/v1/nodes/admission', { json, headers })
    return AdmissionReply.parse(body)
  }
  const node = new NodeCore({
    kind: 'local',
    identity,
    signer: await createSigner(await generateSigningKey(true)),
    engine: INVERT,
    claim,
    maxJobs: 2,
    receipts: { put: async () => {}, remove: async () => {}, pending: async () => [] },
    async locate() {
      const address = (await admit()).hubs.find((each) => each.includes(`%2F${hub}%3F`))
      if (address === undefined) throw new Error(`no address of ${hub}`)
      return simulated(address)
    },
    locateAnchors: async () => (await admit(hub)).anchors.map(simulated),
    log: silentLog,
    now: Date.now,
    onState: () => {},
  })
  nodes.push(node)
  await node.start()
  return node
}

async function shown(node: NodeCore, key = auditor) {
  let next: string | null = 'hub-a-0'
  while (next !== null) {
    const path: string = `/v1/network/nodes?hub=${next}`
    const { body } = await worker.call('GET', path, key === '' ? {} : { key })
    const page = NetworkNodesReply.parse(body)
    const seen = page.nodes.find(({ nodeId }) => nodeId === node.state().nodeId)
    if (seen !== undefined) return seen
    ;({ next } = page)
  }
  return undefined
}

describe('[PL6] hubs in workerd', () => {
  it('bound the place of a node near all three by round trips, and sign it as simulated', async () => {
    const node = await join('DE', 'hub-b-0')
    await until('bounded', async () => (await shown(node))?.evidence === 'bounded')
    const seen = await shown(node)
    expect(seen).toMatchObject({ source: 'simulated', quarantine: null })
    expect(seen?.evidenceReasons.join(' ')).toMatch(/hub-a-0 .*hub-b-0 |hub-b-0 .*hub-a-0 /)
  })

  it('[PL7] serve a policy that requires a bounded place with a node of another hub than the first', async () => {
    const node = nodes[0]?.state()
    const scopes = ['infer', 'policy', 'audit'] as const
    const { key } = await worker.operator.createKey({ tenant: 'acme', scopes: [...scopes] })
    const policy = {
      id: 'personal-eea',
      compute: { allow: ['DE', 'EEA', 'CH', 'GB'] },
      minEvidence: 'bounded',
      dataClass: 'public',
    }
    const put = await worker.call('PUT', '/v1/policies/personal-eea', { key, json: policy })
    expect(put.body).toMatchObject({ policy: { minEvidence: 'bounded' } })
    const ask = () => worker.call('POST', '/v1/compute', { key, json: KERNEL })
    let answer = await ask()
    await until('the policy and the place are known', async () => {
      if (answer.status !== 200) answer = await ask()
      return answer.status === 200
    })
    expect(answer.headers.get('x-littoral-node')).toBe(node?.nodeId)
    expect(answer.headers.get('x-littoral-evidence')).toBe('bounded; source=simulated')
    const id = answer.headers.get('x-littoral-receipt')
    const { body } = await worker.call('GET', `/v1/receipts/${id}`, { key })
    expect(ReceiptDocument.parse(body).receipt.receipt.ticket).toMatchObject({
      hub: 'hub-b-0',
      place: { evidence: 'bounded' },
    })
  })

  it('quarantine a node that claims a country excluded by round trips, and tell it why', async () => {
    const node = await join('US', 'hub-c-0')
    await until('quarantined', async () => (await shown(node))?.quarantine != null)
    expect((await shown(node))?.quarantine).toMatch(/claims US.*US is at least/)
    // The public sees a node's country, but no round trips by which it could be located.
    const inPublic = await shown(node, '')
    expect(inPublic?.quarantine).toBe('It gets no work.')
    expect(inPublic?.evidenceReasons).toEqual([])
    await until('told', () => node.state().welcome?.quarantine?.includes('claims US') === true)
  })
})
