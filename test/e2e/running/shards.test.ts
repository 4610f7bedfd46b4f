/** Hubs of two seats each in workerd: one more opens when a region is full, and jobs find its node in one call. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NetworkReply } from '#shared/api/network.ts'
import { EvidenceRecord } from '#shared/place/evidence.ts'
import type { NodeCore } from '#node-core/node-core.ts'
import { until } from '#test/support/poll.ts'
import { createKernelNode, KERNEL } from '#test/support/nodes/kernel-node.ts'
import { readExposition } from '#test/support/prometheus.ts'
import { OPERATOR_KEY, useWorker } from '#test/support/stack/worker.ts'

const worker = useWorker('development', {
  // The first hub is an anchor. So wide a place proves nothing about a node.
  HUB_REGIONS: 'hub:any*3@50.11/8.68/5000',
  HUB_SEATS: '2',
  INGRESS_COUNTRY: 'DE',
})
const nodes: NodeCore[] = []
let key: string
let french: string
beforeAll(async () => {
  const scopes = ['infer', 'policy', 'audit'] as const
  key = (await worker.operator.createKey({ tenant: 'acme', scopes: [...scopes] })).key
})
afterAll(async () => {
  for (const node of nodes) await node.stop()
})

async function join(country: string): Promise<string> {
  const { core, nodeId } = await createKernelNode(worker.workerd.url, country)
  nodes.push(core)
  await core.start()
  return nodeId
}

/** Nodes of each hub that has a summary. */
async function counts(): Promise<Record<string, number>> {
  const { hubs } = NetworkReply.parse((await worker.call('GET', '/v1/network')).body)
  return Object.fromEntries(hubs.map(({ hub, nodes: count }) => [hub, count]))
}

/** Jobs by hub and outcome. */
async function jobs(): Promise<Record<string, number>> {
  const { body } = await worker.call('GET', '/metrics', { key: OPERATOR_KEY })
  const samples = readExposition(String(body)).get('littoral_jobs_total')?.samples ?? []
  return Object.fromEntries(
    samples.map(({ labels, value }) => [`${labels['hub']} ${labels['outcome']}`, value]),
  )
}

describe('a region of hubs', () => {
  it('opens a second hub for the third node, and none before', async () => {
    await join('DE')
    await until('one node', async () => (await counts())['hub-0'] === 1)
    await join('DE')
    await until('two nodes', async () => (await counts())['hub-0'] === 2)
    expect(await counts()).toEqual({ 'hub-0': 2 })
    french = await join('FR')
    await until('the second hub', async () => (await counts())['hub-1'] === 1)
    expect(await counts()).toEqual({ 'hub-0': 2, 'hub-1': 1 })
  })

  it('gets what the anchor of the region has measured of the third node', async () => {
    await until('an echo of the first hub', async () => {
      const { body } = await worker.call('GET', `/v1/nodes/${french}/evidence`, { key })
      const { hub, echoes } = EvidenceRecord.parse(body)
      expect(hub).toBe('hub-1')
      return echoes.some(({ statement }) => statement.anchor === 'hub-0')
    })
  })

  it('answers a job for the third node with one call to its hub', async () => {
    const policy = {
      id: 'french',
      ingress: { allow: ['DE'] },
      compute: { allow: ['FR'] },
      dataClass: 'public',
    }
    await worker.call('PUT', '/v1/policies/french', { key, json: policy })
    const json = { ...KERNEL, policy: 'french' }
    const ask = () => worker.call('POST', '/v1/compute', { key, json })
    let answer = await ask()
    await until('the policy is known', async () => {
      if (answer.status !== 200) answer = await ask()
      return answer.status === 200
    })
    const before = await jobs()
    for (let n = 0; n < 10; n += 1) {
      const { status, headers } = await ask()
      expect({ status, region: headers.get('x-littoral-region') }).toEqual({
        status: 200,
        region: 'FR',
      })
    }
    const after = await jobs()
    expect(after['hub-1 answered']).toBe((before['hub-1 answered'] ?? 0) + 10)
    const others = (all: Record<string, number>) =>
      Object.entries(all).filter(([name]) => name !== 'hub-1 answered')
    expect(others(after)).toEqual(others(before))
  })
})
