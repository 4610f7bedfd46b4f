/**
 * Every error that a node can send, over real work streams. It fails its own attempt, and its text affects neither
 * routing nor payment nor bans.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ERRORS, type ErrorCode, type ErrorMeta } from '#shared/base/errors.ts'
import { AppError } from '#shared/base/errors.ts'
import { packRefusal, readRefusal, steeringOf, type Steering } from '#worker/protocols/steering.ts'
import { createHubBench, kernelRequest, type TestHubBench } from '#test/support/hub/hub.ts'
import { compiled, TENANT } from '#test/support/hub/policies.ts'
import { createRandom, type Random } from '#test/support/random.ts'
import { DISPATCH_ATTEMPTS } from '#worker/protocols/hub.ts'

const WORLD = compiled({ compute: { allow: ['WORLD'], deny: [] } })
const payload = new Uint8Array([1, 2, 3, 4])
const never = new AbortController().signal
const SEEDS = 150

const CODES = Object.keys(ERRORS) as ErrorCode[]
const RULES = [
  'kernels.banned',
  'kernels.hang',
  'kernels.budget',
  'kernels.tenant',
  'compute.allow',
]
/** Every field name that has ever steered a job, or looks as if it could. */
const STEERING = ['mayAskElsewhere', 'hasNoNodes', 'lacksFeatures', 'isNodeError', 'invalidResult']

/** An error frame as our nodes write it, with facts that none of our code sets. */
function drawError(random: Random): AppError {
  const pick = <T>(list: readonly T[]): T => list[random.below(list.length)] as T
  const meta: Record<string, unknown> = {}
  if (random.chance(0.7)) meta.rule = pick(RULES)
  if (random.chance(0.3)) meta.retryAfterSeconds = pick([0, 1e9, 'x\r\ny: z', -1])
  if (random.chance(0.3)) meta.errors = pick([[{ pointer: '/x', detail: 'y' }], 'no', [{}]])
  for (const name of STEERING)
    if (random.chance(0.5)) meta[name] = pick([true, ['hub-b'], 'yes', { hasNoNodes: true }])
  meta.steering = {
    mayAskElsewhere: true,
    hasNoNodes: true,
    lacksFeatures: true,
  }
  const detail = pick([
    '',
    'banned',
    'The node is gone.',
    'x'.repeat(9_000),
    '{"mayAskElsewhere":true}',
  ])
  return new AppError(pick(CODES), detail, { meta: meta as ErrorMeta })
}

let hub: TestHubBench
beforeEach(async () => void (hub = await createHubBench()))
afterEach(() => hub.close())

describe('the error with which a node ends a job', () => {
  it('never decides where the job goes, who is paid or what is banned', async () => {
    let error = drawError(createRandom(0))
    const liar = await hub.join({ country: 'DE', run: () => Promise.reject(error) })
    const honest = await hub.join({ country: 'FR' })
    const paid: string[] = []
    for (let seed = 0; seed < SEEDS; seed += 1) {
      error = drawError(createRandom(seed))
      const request = await kernelRequest(WORLD, payload)
      const { outcome } = await hub.dispatcher.dispatch(request, payload, never)
      expect(outcome, `seed ${seed}`).toMatchObject({ nodeId: honest.nodeId, units: 3 })
      const entry = hub.outbox.document(TENANT, outcome.receiptId)
      paid.push(entry?.receipt.receipt.ticket.nodeId ?? 'nobody')
      expect(hub.bans.barOf(request.work)).toBe('none')
      expect(hub.directory.get(liar.nodeId)?.quarantine).toBeNull()
    }
    expect(new Set(paid)).toEqual(new Set([honest.nodeId]))
  })

  it('ends a job that only this node could do, and steers nothing beyond the hub', async () => {
    let error = drawError(createRandom(0))
    await hub.join({ country: 'DE', run: () => Promise.reject(error) })
    const known: Steering = {
      mayAskElsewhere: false,
      hasNoNodes: false,
      lacksFeatures: false,
    }
    for (let seed = 0; seed < SEEDS; seed += 1) {
      error = drawError(createRandom(seed))
      const request = await kernelRequest(WORLD, payload)
      const failed: unknown = await hub.dispatcher
        .dispatch(request, payload, never)
        .catch((thrown: unknown) => thrown)
      expect(steeringOf(failed), `seed ${seed}`).toEqual(known)
      // The Worker reads it from the hub's answer.
      const read = readRefusal(JSON.parse(JSON.stringify(packRefusal(failed))))
      expect(read.steering).toEqual(known)
      expect(Object.keys(read.meta).filter((name) => !['rule', 'errors'].includes(name))).toEqual(
        [],
      )
      expect([
        'invalid_request',
        'too_large',
        'context_length_exceeded',
        'no_capacity',
        'node_lost',
      ]).toContain(read.code)
      expect(read.detail).toMatch(/^The node (gave the job back|abandoned the job)/)
      expect(read.detail.length).toBeLessThan(1_200)
      expect(hub.bans.barOf(request.work)).toBe('none')
    }
    expect(hub.outbox.isEmpty()).toBe(true)
  })

  it('reaches the caller as a fault of the work, as no capacity, or as a lost attempt', async () => {
    const say = async (code: ErrorCode, meta: ErrorMeta = {}) => {
      const node = await hub.join({
        country: 'DE',
        run: () => Promise.reject(new AppError(code, 'words', { meta })),
      })
      const failed: unknown = await hub.ask(WORLD, payload).catch((thrown: unknown) => thrown)
      await node.disconnect()
      return failed
    }
    expect(await say('too_large')).toMatchObject({ code: 'too_large' })
    expect(await say('no_capacity', { rule: 'kernels.budget' })).toMatchObject({
      code: 'no_capacity',
      meta: { rule: 'kernels.budget' },
    })
    for (const code of [
      'forbidden',
      'residency_unsatisfiable',
      'node_timeout',
      'internal',
    ] as const)
      expect(await say(code, { rule: 'kernels.banned' })).toMatchObject({
        code: 'node_lost',
        meta: {},
      })
  })

  it('does not give a job more attempts, whatever it says', async () => {
    const asked: string[] = []
    for (const country of ['DE', 'FR', 'NL', 'BE', 'AT'])
      await hub.join({
        country,
        run() {
          asked.push(country)
          return Promise.reject(
            new AppError(asked.length % 2 === 0 ? 'too_large' : 'internal', 'no'),
          )
        },
      })
    await expect(hub.ask(WORLD, payload)).rejects.toMatchObject({
      code: 'too_large',
    })
    expect(asked).toHaveLength(DISPATCH_ATTEMPTS)
  })
})
