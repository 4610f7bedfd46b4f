/** Sessions through the whole system: a running sum on a node's GPU that survives the node. */
import { beforeAll, describe, expect, it } from 'vitest'
import type { NodeProcess } from '#scripts/stack/node-process.ts'
import { decodeBase64, encodeBase64 } from '#shared/base/base64.ts'
import { openSession, type SessionClient } from '#test/support/stack/session-client.ts'
import { useStack } from '#test/support/stack/stack.ts'

const WGSL = `
@group(0) @binding(0) var<storage, read_write> sum: array<f32>;
@group(0) @binding(1) var<storage, read> window: array<f32>;
@group(0) @binding(2) var<storage, read_write> mean: array<f32>;
@compute @workgroup_size(1) fn main() {
  for (var i = 0u; i < arrayLength(&window); i++) { sum[0] += window[i]; }
  sum[1] += 1.0;
  mean[0] = sum[0] / (sum[1] * f32(arrayLength(&window)));
}`

const OPEN = {
  kernel: { wgsl: WGSL, entryPoint: 'main', workgroups: [1, 1, 1] as [number, number, number] },
  buffers: [
    { role: 'state' as const, binding: 0, sizeBytes: 8 },
    { role: 'input' as const, binding: 1, sizeBytes: 16 },
    { role: 'output' as const, binding: 2, sizeBytes: 4 },
  ],
  checkpointEvery: 3,
}

const floats = (...values: number[]) =>
  encodeBase64(new Uint8Array(Float32Array.from(values).buffer))
const readFloat = (data: string | undefined) =>
  new Float32Array((decodeBase64(data ?? '') ?? new Uint8Array(4)).slice().buffer)[0]

const { stack, tenant } = useStack({ scopes: ['infer', 'policy'] })
const nodes = new Map<string, NodeProcess>()
const spawn = async (name: string, region: string) => {
  const node = await stack.startNode({ name, region, verified: false })
  nodes.set(node.nodeId, node)
  return node
}

beforeAll(() => spawn('it', 'IT'))

const connect = (
  options: Partial<Parameters<typeof openSession>[0]> = {},
): Promise<SessionClient> =>
  openSession(
    {
      url: `${stack.url}/v1/sessions`,
      headers: { authorization: `Bearer ${tenant.apiKey}` },
      ...options,
    },
    OPEN,
  )

describe('a session', () => {
  it('keeps its state on one node, and continues from its checkpoint on another allowed node when that one dies', async () => {
    const session = await connect()
    const step = async (n: number) => {
      const result = await session.step([{ binding: 1, data: floats(n, n, n, n) }])
      return { mean: readFloat(result.outputs[0]?.data), result }
    }
    const first = await step(1)
    expect(first.mean).toBe(1)
    expect(first.result.region).toBe('IT')
    for (const n of [2, 3, 4]) expect((await step(n)).mean).toBe((n + 1) / 2)
    expect(session.messages).toContainEqual({ type: 'checkpoint', step: 3 })
    const us = await spawn('us', 'US')
    const spare = await spawn('fr', 'FR')
    await nodes.get(first.result.node)?.kill()
    // The mean of 1…5 is right only if the new node has the state of all steps before.
    const fifth = await step(5)
    expect(fifth.mean).toBe(3)
    expect(fifth.result.node).toBe(spare.nodeId)
    expect(session.messages).toContainEqual(
      expect.objectContaining({ type: 'moved', resumeFrom: 4 }),
    )
    expect((await step(6)).mean).toBe(3.5)
    expect(us.lines.filter((line) => line.includes('job.started'))).toEqual([])
    const { body } = await stack.get(tenant, `/v1/receipts/${fifth.result.receipt}`)
    expect(JSON.stringify(body)).toContain(fifth.result.receipt)
    session.close()
  })

  it('opens from a browser, whose only header is the subprotocol', async () => {
    const session = await connect({
      headers: {},
      protocols: ['littoral.session.v1', `littoral.key.${tenant.apiKey}`],
    })
    const { outputs } = await session.step([{ binding: 1, data: floats(2, 2, 2, 2) }])
    expect(readFloat(outputs[0]?.data)).toBe(2)
    session.close()
  })

  it('[R9] is refused with the rule of the policy, and no node gets a step', async () => {
    const session = await connect({ url: `${stack.url}/v1/sessions?residency=SE` })
    await expect(session.step([{ binding: 1, data: floats(1, 1, 1, 1) }])).rejects.toThrow('closed')
    expect(session.messages.at(-1)).toMatchObject({
      type: 'error',
      error: { code: 'residency_unsatisfiable', rule: 'compute.allow' },
    })
    expect((await session.closed).code).toBe(1008)
  })

  it('needs a key', async () => {
    await expect(connect({ headers: {} })).rejects.toThrow('401')
  })
})
