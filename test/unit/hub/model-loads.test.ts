/** Loads that a hub asks of nodes that never answer: those who wait for a model get it from the others all the same. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { Bytes32 } from '#shared/ids.ts'
import { LIMITS } from '#shared/limits.ts'
import { silentLog } from '#shared/log.ts'
import { Directory, type Member } from '#worker/hub/directory.ts'
import { createModelLoads } from '#worker/hub/model-loads.ts'
import { placeIn } from '#test/support/place.ts'
import { compiled } from '#test/support/policies.ts'

const DIGEST: Bytes32 = `0x${'5'.repeat(64)}`
const POLICY = compiled({ compute: { allow: ['WORLD'], deny: [] } })

/** As much of a member as placing models looks at. */
function createMember(nodeId: string, isHonest: boolean): Member {
  const models: object[] = []
  const load = () => {
    if (!isHonest) return new Promise<void>(() => {})
    models.push({ digest: DIGEST })
    return Promise.resolve()
  }
  const place = placeIn('DE')
  const member = {
    admission: { nodeId, claim: 'DE', place, networks: [], voice: nodeId },
    // A liar's adapter is the best there is.
    presence: { nodeId, models, loadable: [DIGEST], adapter: { name: 'x', isSoftware: isHonest } },
    link: { load, rttMs: () => 1, inFlight: () => 0 },
    quarantine: null,
  }
  return member as unknown as Member
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

it('nodes that never answer a load use up no place of the loads that are waited for', async () => {
  const directory = new Directory()
  const liars = LIMITS.hubModelLoads + 4
  for (let n = 0; n < liars; n += 1) directory.add(createMember(`liar-${n}`, false))
  directory.add(createMember('honest', true))
  const loads = createModelLoads({ directory, now: () => Date.now(), log: silentLog })
  const job = {
    policy: POLICY,
    allowed: POLICY.compute,
    digest: DIGEST,
    tried: new Set<string>(),
    nodeId: null,
  }
  const brought = loads.bring(job, new AbortController().signal).catch((error: unknown) => error)
  await vi.advanceTimersByTimeAsync((liars + 1) * (LIMITS.modelPatienceMs + 1))
  expect(await brought).toBeTypeOf('number')
})
