/** Which hubs get a job, and whose refusal is the answer. */
import { describe, expect, it, vi } from 'vitest'
import { AppError, ERRORS, toAppError, type ErrorCode } from '#shared/base/errors.ts'
import type { Work } from '#shared/job/job.ts'
import { newJobId, TenantId } from '#shared/base/ids.ts'
import { compilePolicy } from '#shared/law/compile-policy.ts'
import type { ObjectNamespace } from '#worker/platform/config.ts'
import { dispatch, HUB_GRACE_MS } from '#worker/dispatch/dispatch.ts'
import {
  KnownPolicies,
  POLICY_UNKNOWN,
  readDispatch,
  writeDispatch,
} from '#worker/protocols/envelope.ts'
import { HubRefusal, packRefusal, steeringOf } from '#worker/protocols/steering.ts'
import { kernelOutcome } from '#test/support/hub/outcome.ts'
import { asPolicy } from '#test/support/hub/as-policy.ts'
import { namespaceOf, plainConfig } from '#test/support/worker-config.ts'

const tenant = TenantId.parse('acme')
const zeroes = `0x${'0'.repeat(64)}` as const
const payload = new Uint8Array([1, 2, 3, 4])

const TENSOR = { name: 'x', datatype: 'UINT8' as const, shape: [4], sizeBytes: 4 }

const outcome = kernelOutcome([{ binding: 0, sizeBytes: 4 }])

/** A hub that answers with reversed bytes, needs to load the model, refuses with a code, breaks, or hangs. */
type Behaviour =
  | { readonly hasNoNodes: true }
  | { readonly lacksFeatures: true }
  | 'answers'
  | 'breaks'
  | 'hangs'
  | 'tires'
  | 'cold'
  /** Refusal after the last allowed node left during the wait. */
  | 'left'
  | ErrorCode

/** Refusal of a hub whose nodes did not receive the job. */
function refuse(error: AppError): Response {
  const mayAskElsewhere = ['no_capacity', 'residency_unsatisfiable'].includes(error.code)
  const body = packRefusal(new HubRefusal(error, { mayAskElsewhere }))
  return Response.json(body, { status: ERRORS[error.code].status })
}

/** Timeouts of jobs that wait at a hanging hub. */
const TIRED_MS = 300

/** Hubs of one name are one hub to the isolate, which tells each a policy once. */
const policies = new KnownPolicies()

function hubFetch(behaviour: Behaviour, times: number[]) {
  return async (request: Request): Promise<Response> => {
    const job = await readDispatch(request, policies)
    if (job === null) return new Response(null, { status: POLICY_UNKNOWN })
    times.push(job.header.timeoutMs)
    if (behaviour === 'tires') {
      await new Promise((resolve) => setTimeout(resolve, TIRED_MS))
      return refuse(new AppError('no_capacity', 'busy'))
    }
    if (behaviour === 'breaks') throw new Error('the object was reset')
    if (behaviour === 'hangs') {
      return new Promise((_, fail) => {
        const stop = () => fail(new Error('aborted'))
        if (request.signal.aborted) stop()
        request.signal.addEventListener('abort', stop)
      })
    }
    if (behaviour === 'cold' && job.header.warmOnly === true)
      return refuse(new AppError('no_capacity', 'cold'))
    if (typeof behaviour === 'object') {
      const error = new AppError('no_capacity', 'elsewhere')
      const refusal = new HubRefusal(error, { mayAskElsewhere: true, ...behaviour })
      return Response.json(packRefusal(refusal), { status: 503 })
    }
    if (behaviour === 'left') {
      const refusal = new HubRefusal(new AppError('node_lost', 'left'), { mayAskElsewhere: true })
      return Response.json(packRefusal(refusal), { status: ERRORS.node_lost.status })
    }
    if (behaviour !== 'answers' && behaviour !== 'cold') {
      return refuse(new AppError(behaviour, `hub says ${behaviour}`))
    }
    return writeDispatch({ outcome, payload: job.payload.toReversed() })
  }
}

async function run(
  hubs: Record<string, Behaviour>,
  options: { storage?: 'any' | 'eu'; signal?: AbortSignal; work?: Work } = {},
) {
  const asked: string[] = []
  const times: number[] = []
  const HUB: ObjectNamespace = {
    getByName(name) {
      // `near` stands for `near-0`, the only hub of its region.
      const region = name.replace(/-0$/, '')
      asked.push(region)
      return { fetch: hubFetch(hubs[region] ?? 'breaks', times) }
    },
    jurisdiction: () => HUB,
  }
  const config = plainConfig(
    Object.keys(hubs).map((name) => ({
      name,
      jurisdiction: name.startsWith('eu') ? 'eu' : 'any',
    })),
    'cloudflare',
  )
  const policy = compilePolicy(
    asPolicy({ id: 'p', compute: { allow: ['EU'] }, storage: options.storage ?? 'any' }),
    { tenant, version: 1 },
  )
  const request = {
    requestId: 'req_1',
    jobId: newJobId(),
    tenant,
    consumer: null,
    policy,
    allowed: policy.compute,
    work: options.work ?? {
      kind: 'kernel' as const,
      wgsl: 'x',
      entryPoint: 'main',
      workgroups: [1, 1, 1] as [number, number, number],
      buffers: [
        { binding: 0, access: 'read_write' as const, sizeBytes: 4, filled: true, return: true },
      ],
      digest: zeroes,
    },
    units: 1,
    priceMicroUsd: 1,
    timeoutMs: 1000,
    stream: false,
    nodeId: null,
    traceparent: null,
  }
  const { signal = new AbortController().signal } = options
  let lacksFeatures = false
  const result = await dispatch(
    { env: { HUB, REGISTRY: namespaceOf({}) }, config },
    { request, payload },
    signal,
  ).then(
    (answer) => [...answer.payload].join(','),
    (error: unknown) => {
      lacksFeatures = steeringOf(error).lacksFeatures
      return toAppError(error).code
    },
  )
  return { asked, result, times, lacksFeatures }
}

async function asking(...options: Parameters<typeof run>) {
  const { asked, result } = await run(...options)
  return { asked, result }
}

describe('dispatching', () => {
  it('gives all hubs together the time of one job', async () => {
    const { times, result } = await run({
      a: 'tires',
      b: 'tires',
      c: 'tires',
      d: 'tires',
      e: 'answers',
    })
    expect(result).toBe('no_capacity')
    expect(times.length).toBeLessThanOrEqual(4)
    times.forEach((timeoutMs, turn) =>
      expect(timeoutMs).toBeLessThanOrEqual(1000 - turn * (TIRED_MS - 10)),
    )
  })

  it('asks only the nearest hub when it answers', async () => {
    expect(await asking({ near: 'answers', far: 'answers' })).toEqual({
      asked: ['near'],
      result: '4,3,2,1',
    })
  })

  it('asks the next hub when one has no node for the policy', async () => {
    for (const refusal of ['no_capacity', 'residency_unsatisfiable'] as const) {
      const { asked, result } = await run({ near: refusal, far: 'answers' })
      expect({ asked, result }).toEqual({ asked: ['near', 'far'], result: '4,3,2,1' })
    }
  })

  it('says no_capacity when any hub had an allowed node, otherwise residency_unsatisfiable', async () => {
    const both = (near: Behaviour, far: Behaviour) => run({ near, far })
    expect((await both('no_capacity', 'residency_unsatisfiable')).result).toBe('no_capacity')
    expect((await both('residency_unsatisfiable', 'no_capacity')).result).toBe('no_capacity')
    expect((await both('residency_unsatisfiable', 'residency_unsatisfiable')).result).toBe(
      'residency_unsatisfiable',
    )
  })

  it('[R8] says node_lost when a hub’s last allowed node left during the wait, unless another hub answers', async () => {
    const codes = ['no_capacity', 'residency_unsatisfiable'] as const
    for (const code of codes) {
      expect((await run({ near: 'left', far: code })).result).toBe('node_lost')
      expect((await run({ near: code, far: 'left' })).result).toBe('node_lost')
    }
    expect(await asking({ near: 'left', far: 'answers' })).toMatchObject({ asked: ['near', 'far'] })
  })

  it('[R9] reports the rule of a hub with nodes rather than a hub without any', async () => {
    const empty = { hasNoNodes: true } as const
    expect((await run({ a: 'residency_unsatisfiable', b: empty })).result).toBe(
      'residency_unsatisfiable',
    )
    expect((await run({ a: empty, b: 'residency_unsatisfiable' })).result).toBe(
      'residency_unsatisfiable',
    )
    expect((await run({ a: empty, b: 'no_capacity' })).result).toBe('no_capacity')
    expect((await run({ a: empty, b: empty })).result).toBe('no_capacity')
  })

  it('reports a missing feature only if no other hub has a busy node', async () => {
    const lacking = { lacksFeatures: true } as const
    for (const other of ['residency_unsatisfiable', { hasNoNodes: true }, lacking] as const) {
      expect((await run({ a: lacking, b: other })).lacksFeatures).toBe(true)
      expect((await run({ a: other, b: lacking })).lacksFeatures).toBe(true)
    }
    expect((await run({ a: lacking, b: 'no_capacity' })).lacksFeatures).toBe(false)
    expect((await run({ a: 'no_capacity', b: lacking })).lacksFeatures).toBe(false)
  })

  it('[M10] loads a model only if no hub has it warm, and then at the nearest', async () => {
    const work: Work = { kind: 'model', model: 'm', digest: zeroes, inputs: [TENSOR] }
    const result = '4,3,2,1'
    const asked = async (hubs: Record<string, Behaviour>) => asking(hubs, { work })
    expect(await asked({ near: 'cold', far: 'answers' })).toEqual({
      asked: ['near', 'far'],
      result,
    })
    expect(await asked({ near: 'cold', far: 'cold' })).toEqual({
      asked: ['near', 'far', 'near'],
      result,
    })
    expect(await asked({ near: 'residency_unsatisfiable', far: 'cold' })).toEqual({
      asked: ['near', 'far', 'far'],
      result,
    })
    expect(await asked({ only: 'cold' })).toEqual({ asked: ['only'], result })
  })

  it("gives every other error as the answer, and never a second hub's", async () => {
    for (const code of ['invalid_request', 'node_lost', 'node_timeout'] as const) {
      expect(await asking({ near: code, far: 'answers' })).toEqual({
        asked: ['near'],
        result: code,
      })
    }
  })

  it('reports a broken hub as node_lost, because the job may have run', async () => {
    const { asked, result } = await run({ near: 'breaks', far: 'answers' })
    expect({ asked, result }).toEqual({ asked: ['near'], result: 'node_lost' })
  })

  it('[R8] uses only hubs that may keep the records, and says so when there is none', async () => {
    const pinned = { storage: 'eu' as const }
    expect(await asking({ near: 'answers', 'eu-1': 'answers' }, pinned)).toMatchObject({
      asked: ['eu-1'],
    })
    expect(await asking({ near: 'answers' }, pinned)).toEqual({
      asked: [],
      result: 'residency_unsatisfiable',
    })
  })

  it('stops when the caller goes away', async () => {
    const caller = new AbortController()
    const running = run({ near: 'hangs' }, { signal: caller.signal })
    caller.abort()
    expect((await running).result).toBe('cancelled')
  })

  it('gives up a hub that stays silent after the time of the job', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    try {
      let isOver = false
      const running = run({ near: 'hangs' })
      void running.then(() => (isOver = true))
      // The job's own second has passed, and the hub may still answer.
      await vi.advanceTimersByTimeAsync(1000 + HUB_GRACE_MS - 1)
      expect(isOver).toBe(false)
      await vi.advanceTimersByTimeAsync(1)
      expect((await running).result).toBe('node_timeout')
    } finally {
      vi.useRealTimers()
    }
  })
})
