import { describe, expect, it } from 'vitest'
import { useStack } from '#test/support/stack/stack.ts'
import { descendantsOf } from '../../../bench/memory/processes.ts'
import { until } from '#test/support/poll.ts'

const EMBEDDING = { model: 'littoral-embed-400k', input: ['turn on the kitchen light'] }

const { stack, tenant } = useStack({ scopes: ['infer', 'policy'] })

const start = (name: string, region: string) =>
  stack.startNode({ name, region, device: 'cpu', verified: false })

/** Waits until the hub counts a job on a node, and returns that node. */
async function busyNode(): Promise<string> {
  let busy: string | undefined
  await until('the job is on a node', async () => {
    const { body } = await stack.get(tenant, '/v1/network/nodes')
    const nodes = body.nodes as { nodeId: string; inFlight: number }[]
    busy = nodes.find(({ inFlight }) => inFlight > 0)?.nodeId
    return busy !== undefined
  })
  return busy ?? ''
}

describe('a node that dies in the middle of a job', () => {
  it('does not lose the request: another allowed node answers it', async () => {
    const nodes = [await start('it', 'IT'), await start('fr', 'FR')]
    // A stopped process takes the job's bytes and never answers.
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

describe('a local node', () => {
  const there = { 'x-littoral-residency': 'PT' }

  it('does not start on the state folder of another node, and names the process that holds it', async () => {
    const pt = await start('pt', 'PT')
    await expect(start('pt', 'PT')).rejects.toThrow(new RegExp(`in use by process ${pt.pid}\\.`))
    const { status, headers } = await stack.post(tenant, '/v1/embeddings', EMBEDDING, there)
    expect([status, headers.get('x-littoral-node')]).toEqual([200, pt.nodeId])
    await pt.close()
  })

  it('finishes its running job on SIGTERM, and takes no other', async () => {
    const pt = await start('pt', 'PT')
    const engines = descendantsOf(pt.pid)
    // Stopped processes hold the job until the node has got its signal.
    for (const pid of engines) process.kill(pid, 'SIGSTOP')
    const answered = stack.post(tenant, '/v1/embeddings', EMBEDDING, there)
    expect(await busyNode()).toBe(pt.nodeId)
    process.kill(pt.pid, 'SIGTERM')
    await until('it was told', () => pt.lines.some((line) => line.includes('Leaving')))
    for (const pid of engines) process.kill(pid, 'SIGCONT')
    const { status, headers } = await answered
    expect([status, headers.get('x-littoral-node')]).toEqual([200, pt.nodeId])
    const next = await stack.post(tenant, '/v1/embeddings', EMBEDDING, there)
    expect(next.status).toBeGreaterThanOrEqual(400)
    await pt.close()
  })
})
