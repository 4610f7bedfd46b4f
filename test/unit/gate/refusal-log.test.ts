import { beforeEach, describe, expect, it } from 'vitest'
import { TenantId } from '#shared/base/ids.ts'
import {
  createRefusalLog,
  type RefusalLog,
  AUDIT_REFUSAL_TENANTS,
} from '#worker/gate/refusal-log.ts'
import { type Refusal, AUDIT_REFUSAL_KINDS } from '#worker/protocols/audit.ts'

const acme = TenantId.parse('acme')
const refusal = (rule: string, by = 'key_a') => ({
  jobId: null,
  by,
  code: 'residency_unsatisfiable',
  rule,
  policyId: 'eu-only',
})

let log: RefusalLog
let nowMs: number
let sent: Refusal[][]
let endSecond: () => void
beforeEach(() => {
  nowMs = 1_000
  sent = []
  log = createRefusalLog({
    nowMs: () => nowMs,
    wait: () =>
      new Promise((resolve) => {
        endSecond = resolve
      }),
  })
})

const send = async (refusals: readonly Refusal[]) => void sent.push([...refusals])

describe('refusals before a job', () => {
  it('[AU5] are sent together by the first request, equal ones as one with a count', async () => {
    const first = log.note(acme, refusal('compute.allow'), send)
    for (let i = 0; i < 999; i += 1) {
      nowMs += 1
      expect(log.note(acme, refusal('compute.allow'), send)).toBeUndefined()
    }
    expect(log.note(acme, refusal('evidence.min'), send)).toBeUndefined()
    endSecond()
    await first
    expect(sent.length).toBe(1)
    expect(sent[0]).toEqual([
      { ...refusal('compute.allow'), count: 1_000, firstAtMs: 1_000, lastAtMs: 1_999 },
      { ...refusal('evidence.min'), count: 1, firstAtMs: 1_999, lastAtMs: 1_999 },
    ])
    expect(log.note(acme, refusal('compute.allow'), send)).toBeDefined()
  })

  it('are merged for too many kinds, and dropped for too many tenants at once', async () => {
    const first = log.note(acme, refusal('r0'), send)
    for (let i = 1; i < 200; i += 1) void log.note(acme, refusal(`r${i}`), send)
    endSecond()
    await first
    expect(sent[0]?.length).toBe(AUDIT_REFUSAL_KINDS)
    expect(sent[0]?.reduce((sum, { count }) => sum + count, 0)).toBe(200)
    for (let i = 0; i < AUDIT_REFUSAL_TENANTS; i += 1)
      expect(log.note(TenantId.parse(`t${i}`), refusal('r'), send)).toBeDefined()
    expect(log.note(TenantId.parse('late'), refusal('r'), send)).toBeUndefined()
  })
})
