/** A node's record of what it offers, for tests. */
import type { PresenceRecord } from '#shared/node/node.ts'

export const TEST_ADAPTER = { name: 'test cpu', isSoftware: true }

type PresenceWish = Partial<PresenceRecord> & Pick<PresenceRecord, 'nodeId' | 'receiptKey'>

export function presenceOf(wish: PresenceWish): PresenceRecord {
  return {
    version: 1,
    kind: 'local',
    claim: 'DE',
    adapter: TEST_ADAPTER,
    models: [],
    kernels: 'any',
    maxJobs: 4,
    sequence: 1,
    issuedAtMs: Date.now(),
    ...wish,
  }
}
