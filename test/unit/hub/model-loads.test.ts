/** Nodes that never answer a load: jobs get the model from other nodes all the same. */
import { Canceller } from '#p2p/stream/cancellation.ts'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { AppError } from '#shared/base/errors.ts'
import { TenantId, type Bytes32 } from '#shared/base/ids.ts'
import { silentLog } from '#shared/base/log.ts'
import { Directory, type Member } from '#worker/hub/members/directory.ts'
import {
  createModelLoads,
  HUB_MODEL_LOADS,
  TENANT_MODEL_LOADS,
} from '#worker/hub/loads/model-loads.ts'
import { placeIn, standsAt } from '#test/support/hub/place.ts'
import { compiled, TENANT } from '#test/support/hub/policies.ts'
import { MODEL_PATIENCE_MS } from '#worker/hub/loads/placement.ts'

const DIGEST: Bytes32 = `0x${'5'.repeat(64)}`
const POLICY = compiled({ compute: { allow: ['WORLD'], deny: [] } })

/** The parts of a member that placement looks at. */
function createMember(nodeId: string, isHonest: boolean): Member {
  const models: object[] = []
  const load = () => {
    if (!isHonest) return new Promise<void>(() => {})
    models.push({ digest: DIGEST })
    return Promise.resolve()
  }
  const member = {
    admission: { nodeId, claim: 'DE', networks: [], reporter: nodeId },
    evidence: standsAt(placeIn('DE')),
    // A liar's adapter is the best there is.
    presence: { nodeId, models, loadable: [DIGEST], adapter: { name: 'x', isSoftware: isHonest } },
    link: { load, rttMs: () => 1, inFlight: () => 0 },
    quarantine: null,
  }
  return member as unknown as Member
}

const jobOf = (change: object = {}) => ({
  tenant: TENANT,
  policy: POLICY,
  allowed: POLICY.compute,
  digest: DIGEST,
  tried: new Set<string>(),
  nodeId: null,
  ...change,
})
const loadsOf = (directory: Directory) =>
  createModelLoads({ directory, now: () => Date.now(), log: silentLog })
const cancellation = new Canceller()

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

it('nodes that never answer a load do not use up the hub’s limit of loads', async () => {
  const directory = new Directory()
  const liars = HUB_MODEL_LOADS + 4
  for (let n = 0; n < liars; n += 1) directory.add(createMember(`liar-${n}`, false))
  directory.add(createMember('honest', true))
  const loads = loadsOf(directory)
  const brought = loads.bring(jobOf(), cancellation).catch((error: unknown) => error)
  await vi.advanceTimersByTimeAsync((liars + 1) * (MODEL_PATIENCE_MS + 1))
  expect(await brought).toBeTypeOf('number')
})

it('[M11] only a tenant that asks for many cold models is told to wait', async () => {
  const count = TENANT_MODEL_LOADS + 1
  const digests = Array.from(
    { length: count },
    (_, n) => `0x${String(n).padStart(64, '0')}` as const,
  )
  const asked: Bytes32[] = []
  const never = new Promise<void>(() => {})
  const load = ({ digest }: { digest: Bytes32 }) => (asked.push(digest), never)
  const node = createMember('node', true)
  const directory = new Directory()
  directory.add({
    ...node,
    presence: { ...node.presence, loadable: digests },
    link: { load, rttMs: () => 1, inFlight: () => 0 } as unknown as Member['link'],
  })
  const loads = loadsOf(directory)
  /** Undefined for one that waits for its model. */
  const refusalOf = async (digest: Bytes32 | undefined, tenant = TENANT) => {
    let refusal: unknown
    const brought = loads.bring(jobOf({ digest, tenant }), cancellation)
    brought.catch((error: unknown) => (refusal = error))
    await vi.advanceTimersByTimeAsync(1)
    return refusal
  }
  for (const digest of digests.slice(0, -1)) expect(await refusalOf(digest)).toBeUndefined()
  expect(await refusalOf(digests.at(-1))).toMatchObject({
    code: 'rate_limited',
    meta: { retryAfterSeconds: 60 },
  })
  // Joining a running load costs nothing more, and another tenant has its own limit.
  expect(await refusalOf(digests[0])).toBeUndefined()
  expect(asked).toEqual(digests.slice(0, -1))
  expect(await refusalOf(digests.at(-1), TenantId.parse('other'))).toBeUndefined()
  expect(asked).toEqual(digests)
})

it('[M11] a load that a node had no room for does not count', async () => {
  let asked = 0
  const node = createMember('node', true)
  const models: object[] = []
  const load = () => {
    asked += 1
    if (asked < 2 * TENANT_MODEL_LOADS) return Promise.reject(new AppError('no_capacity', 'full'))
    models.push({ digest: DIGEST })
    return Promise.resolve()
  }
  const directory = new Directory()
  directory.add({
    ...node,
    presence: { ...node.presence, models } as unknown as Member['presence'],
    link: { load, rttMs: () => 1, inFlight: () => 0 } as unknown as Member['link'],
  })
  const loads = loadsOf(directory)
  const job = jobOf()
  const done: unknown[] = []
  // Each job waits fifteen seconds for room.
  for (let n = 0; n < 3; n += 1) {
    const brought = loads.bring(job, cancellation)
    void brought.then(
      (ms) => done.push(ms),
      (error: unknown) => done.push(error),
    )
    await vi.advanceTimersByTimeAsync(MODEL_PATIENCE_MS + 1_000)
  }
  expect(asked).toBe(2 * TENANT_MODEL_LOADS)
  expect(done.filter((ms) => typeof ms === 'number').length).toBe(1)
  expect(done.filter((ms) => ms === undefined).length).toBe(2)
})
