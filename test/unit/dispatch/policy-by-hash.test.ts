import { describe, expect, it } from 'vitest'
import { compilePolicy } from '#shared/law/compile-policy.ts'
import { newJobId, TenantId, type Bytes32 } from '#shared/base/ids.ts'
import type { CompiledPolicy } from '#shared/law/policy.ts'
import { dispatch } from '#worker/dispatch/dispatch.ts'
import {
  KnownPolicies,
  packDispatch,
  POLICY_UNKNOWN,
  readDispatch,
  writeDispatch,
} from '#worker/protocols/envelope.ts'
import type { DispatchOutcome, DispatchRequest } from '#worker/protocols/hub.ts'
import { asPolicy } from '#test/support/hub/as-policy.ts'
import { namespaceOf, plainConfig } from '#test/support/worker-config.ts'

const tenant = TenantId.parse('acme')
const payload = new Uint8Array([1, 2, 3])
const digest: Bytes32 = `0x${'00'.repeat(32)}`
const { signal } = new AbortController()

function jobUnder(policy: CompiledPolicy): DispatchRequest {
  return {
    requestId: 'req_1',
    jobId: newJobId(),
    tenant,
    consumer: null,
    policy,
    allowed: policy.compute,
    work: { kind: 'model', model: 'm', digest, inputs: [] },
    units: 1,
    priceMicroUsd: 1,
    timeoutMs: 1_000,
    stream: false,
    nodeId: null,
    traceparent: null,
  }
}

const policyOf = (version: number) =>
  compilePolicy(asPolicy({ id: 'p', compute: { allow: ['EU'] } }), { tenant, version })

/** A hub that notes each call, and whether the policy came with it. */
function createHub() {
  const scene = {
    policies: new KnownPolicies(),
    calls: [] as string[],
    seen: [] as CompiledPolicy[],
  }
  const fetch = async (request: Request): Promise<Response> => {
    const read = await readDispatch(request.clone(), scene.policies)
    const text = await request.text()
    scene.calls.push(text.includes('"policy":null') ? 'hash' : 'policy')
    if (read === null) return new Response(null, { status: POLICY_UNKNOWN })
    scene.seen.push(read.header.policy)
    return writeDispatch({ outcome: {} as DispatchOutcome, payload: read.payload })
  }
  return { scene, fetch }
}

let hubs = 0
function createDeployment(hub: ReturnType<typeof createHub>) {
  hubs += 1
  const config = plainConfig([{ name: `hub${hubs}`, jurisdiction: 'any' }], 'cloudflare')
  const HUB = namespaceOf({ fetch: hub.fetch })
  return { env: { HUB, REGISTRY: namespaceOf({}) }, config }
}

describe('a policy on its way to a hub', () => {
  it('is sent once, and named by its hash from then on', async () => {
    const hub = createHub()
    const deployment = createDeployment(hub)
    const [one, two] = [policyOf(1), policyOf(2)]
    for (const policy of [one, one, two, one, two])
      await dispatch(deployment, { request: jobUnder(policy), payload }, signal)
    expect(hub.scene.calls).toEqual(['policy', 'hash', 'policy', 'hash', 'hash'])
    expect(hub.scene.seen).toEqual([one, one, two, one, two])
  })

  it('is sent again to a hub that has lost it, and the job runs under it', async () => {
    const hub = createHub()
    const deployment = createDeployment(hub)
    const policy = policyOf(3)
    await dispatch(deployment, { request: jobUnder(policy), payload }, signal)
    hub.scene.policies = new KnownPolicies()
    await dispatch(deployment, { request: jobUnder(policy), payload }, signal)
    expect(hub.scene.calls).toEqual(['policy', 'hash', 'policy'])
    expect(hub.scene.seen).toEqual([policy, policy])
  })

  it('is refused under a hash that is not its own, even if somebody else widened it', async () => {
    const policy = policyOf(4)
    const wide: CompiledPolicy = { ...policy, compute: `0x${'ff'.repeat(32)}` }
    const body = packDispatch(jobUnder(wide), payload, { isPolicyKnown: false })
    const request = new Request('http://hub/dispatch', { method: 'POST', body })
    await expect(readDispatch(request, new KnownPolicies())).rejects.toMatchObject({
      code: 'forbidden',
    })
  })
})
