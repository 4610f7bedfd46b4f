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

const start = (name: string, region: string) =>
  stack.startNode({ name, region, device: 'cpu', verified: false })

/** The node that the hub counts a job on, once it does. */
async function busyNode(): Promise<string> {
  let busy: string | undefined
  await until('the job is on a node', async () => {
    const { body } = await stack.get(tenant, '/v1/network')
    const nodes = body.nodes as { nodeId: string; inFlight: number }[]
    busy = nodes.find(({ inFlight }) => inFlight > 0)?.nodeId
    return busy !== undefined
  })
  return busy ?? ''
}

describe('a node that dies in the middle of a job', () => {
  it('does not lose the request: another allowed node answers it', async () => {
    const nodes = [await start('it', 'IT'), await start('fr', 'FR')]
    // Stopped, a process takes the job's bytes and never answers.
    for (const { pid } of nodes) process.kill(pid, 'SIGSTOP')
    const answered = stack.post(tenant, '/v1/embeddings', EMBEDDING)
    const busy = await busyNode()
    const [dying, spare] = nodes.toSorted((a) => (a.nodeId === busy ? -1 : 1))
    if (dying === undefined || spare === undefined) throw new Error('there are two nodes')
    process.kill(spare.pid, 'SIGCONT')
    await dying.kill()
    const { status, headers } = await answered
    expect(status).toBe(200)
    expect(headers.get('x-littoral-node')).toBe(spare.nodeId)
    await spare.close()
  })

  it('[R8] ends as node_lost, retryable, when no other node is allowed', async () => {
    const [dying, us] = [await start('es', 'ES'), await start('us', 'US')]
    process.kill(dying.pid, 'SIGSTOP')
    const answered = stack.post(tenant, '/v1/embeddings', EMBEDDING)
    expect(await busyNode()).toBe(dying.nodeId)
    await dying.kill()
    const { status, body } = await answered
    expect(status).toBe(502)
    expect(body).toMatchObject({ code: 'node_lost' })
    expect(us.lines.filter((line) => line.includes('job.started'))).toEqual([])
  })
})
