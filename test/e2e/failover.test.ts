import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Tenant } from '#scripts/lib/stack.ts'
import { createTestStack, openPolicy, type TestStack } from '../support/stack.ts'
import { until } from '../support/poll.ts'

const EMBEDDING = { model: 'littoral-embed-400k', input: ['turn on the kitchen light'] }

let stack: TestStack
let tenant: Tenant
beforeAll(async () => {
  stack = await createTestStack()
  tenant = await stack.createTenant('acme', ['infer', 'policy'])
  await stack.pin(tenant, openPolicy('EU'))
})
afterAll(() => stack?.close())

/** Whether the hub counts a job as running on this node. */
async function isBusy(nodeId: string): Promise<boolean> {
  const { body } = await stack.get(tenant, '/v1/network')
  const nodes = body.nodes as { nodeId: string; inFlight: number }[]
  return nodes.some((node) => node.nodeId === nodeId && node.inFlight > 0)
}

describe('a node that dies in the middle of a job', () => {
  it('does not lose the request: another allowed node answers it', async () => {
    const dying = await stack.startNode({
      name: 'it',
      region: 'IT',
      device: 'cpu',
      verified: false,
    })
    // Stopped, the process takes the job's bytes and never answers.
    process.kill(dying.pid, 'SIGSTOP')
    const answered = stack.post(tenant, '/v1/embeddings', EMBEDDING)
    await until('the job is on the node', () => isBusy(dying.nodeId))
    const spare = await stack.startNode({
      name: 'fr',
      region: 'FR',
      device: 'cpu',
      verified: false,
    })
    await dying.kill()
    const { status, headers } = await answered
    expect(status).toBe(200)
    expect(headers.get('x-littoral-node')).toBe(spare.nodeId)
    await spare.close()
  })

  it('[R8] ends as node_lost, retryable, when no other node is allowed', async () => {
    const dying = await stack.startNode({
      name: 'es',
      region: 'ES',
      device: 'cpu',
      verified: false,
    })
    const us = await stack.startNode({ name: 'us', region: 'US', device: 'cpu', verified: false })
    process.kill(dying.pid, 'SIGSTOP')
    const answered = stack.post(tenant, '/v1/embeddings', EMBEDDING)
    await until('the job is on the node', () => isBusy(dying.nodeId))
    await dying.kill()
    const { status, body } = await answered
    expect(status).toBe(502)
    expect(body).toMatchObject({ code: 'node_lost' })
    expect(us.lines.filter((line) => line.includes('job.started'))).toEqual([])
  })
})
