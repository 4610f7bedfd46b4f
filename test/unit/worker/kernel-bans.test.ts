/** Which words ban a kernel, and which do not. Rules: docs/design/kernels-untrusted.md. */
import { describe, expect, test } from 'vitest'
import { AppError } from '#shared/errors.ts'
import type { Bytes32 } from '#shared/ids.ts'
import { LIMITS } from '#shared/limits.ts'
import { silentLog } from '#shared/log.ts'
import type { NodeTrust } from '#shared/policy.ts'
import { createKernelBans, type KernelAttempt } from '#worker/hub/kernel-bans.ts'
import { kernelJob } from '#test/support/engine-jobs.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'

const HUNG = new AppError('node_timeout', 'It hung.', {
  meta: { rule: 'kernels.hang', isNodesWord: true },
})
const LOST = new AppError('node_lost', 'The stream ended.')

function setUp() {
  const storage = createSqliteStorage()
  let nowMs = 1_000_000
  const open = () => createKernelBans({ storage, now: () => nowMs, log: silentLog })
  const bans = open()
  const kernel = (serial: number) => kernelJob({ wgsl: `// ${serial}`, buffers: [{}] }).work
  const attempt = (serial: number, node: number, trust: NodeTrust = 'public'): KernelAttempt => ({
    jobId: `job-${serial}`,
    tenant: 'acme',
    work: kernel(serial),
    nodeId: `node-${node}`,
    trust,
  })
  return {
    bans,
    open,
    attempt,
    pass: (ms: number): void => {
      nowMs += ms
    },
    ruleOf: (serial: number, tenant = 'acme', using = bans): string | undefined => {
      try {
        using.check(kernel(serial), tenant)
        return undefined
      } catch (error) {
        expect(error).toMatchObject({ code: 'forbidden' })
        return (error as AppError).meta.rule
      }
    },
  }
}

describe('bans of kernels', () => {
  test('[U11] one node bans nothing, however often it reports', () => {
    const { bans, attempt, ruleOf } = setUp()
    for (let i = 0; i < 10; i += 1) bans.failed(attempt(1, 1), HUNG)
    expect(ruleOf(1)).toBeUndefined()
  })

  test('[U11] two different nodes ban a kernel for every tenant, over a restart of the hub', () => {
    const { bans, open, attempt, ruleOf } = setUp()
    bans.failed(attempt(1, 1), HUNG)
    bans.failed(attempt(1, 2), HUNG)
    expect(ruleOf(1)).toBe('kernels.banned')
    expect(ruleOf(1, 'other')).toBe('kernels.banned')
    expect(ruleOf(1, 'other', open())).toBe('kernels.banned')
    expect(ruleOf(2)).toBeUndefined()
  })

  test('[U11] a kernel that other nodes have completed needs more reports, but never more than four', () => {
    const { bans, attempt, ruleOf } = setUp()
    for (let node = 10; node < 20; node += 1) bans.completed(attempt(1, node))
    for (const node of [1, 2, 3]) bans.failed(attempt(1, node), HUNG)
    expect(ruleOf(1)).toBeUndefined()
    bans.failed(attempt(1, 4), HUNG)
    expect(ruleOf(1)).toBe('kernels.banned')
  })

  test("[U11] a verified node's word is enough", () => {
    const { bans, attempt, ruleOf } = setUp()
    bans.failed(attempt(1, 1, 'verified'), HUNG)
    expect(ruleOf(1)).toBe('kernels.banned')
  })

  test('[U11] a node that reports kernel after kernel is not heard any more', () => {
    const { bans, attempt, ruleOf } = setUp()
    for (const serial of [1, 2, 3, 4]) bans.failed(attempt(serial, 1), HUNG)
    bans.failed(attempt(4, 2), HUNG)
    expect(ruleOf(4)).toBeUndefined()
    bans.failed(attempt(1, 2), HUNG)
    expect(ruleOf(1)).toBe('kernels.banned')
  })

  test('[U11] only a hang counts: not a timeout of the hub, not what else a node says', () => {
    const { bans, attempt, ruleOf } = setUp()
    const others = [
      new AppError('node_timeout', 'No answer.', { meta: { rule: 'kernels.hang' } }),
      new AppError('node_timeout', 'Slow.', { meta: { isNodesWord: true } }),
      new AppError('too_large', 'Big.', { meta: { rule: 'kernels.hang', isNodesWord: true } }),
    ]
    for (const node of [1, 2, 3]) for (const error of others) bans.failed(attempt(1, node), error)
    expect(ruleOf(1)).toBeUndefined()
  })

  test('[U12] two nodes lost in one job speak against its kernel, in two jobs they do not', () => {
    const { bans, attempt, ruleOf } = setUp()
    bans.failed({ ...attempt(1, 1), jobId: 'a' }, LOST)
    bans.failed({ ...attempt(1, 2), jobId: 'b' }, LOST)
    expect(ruleOf(1)).toBeUndefined()
    bans.failed({ ...attempt(1, 3), jobId: 'a' }, LOST)
    expect(ruleOf(1)).toBe('kernels.banned')
  })

  test('[U13] a tenant with three banned kernels runs none, others do', () => {
    const { bans, attempt, ruleOf } = setUp()
    for (const serial of [1, 2, 3])
      for (const node of [10 * serial, 10 * serial + 1]) bans.failed(attempt(serial, node), HUNG)
    expect(ruleOf(9)).toBe('kernels.tenant')
    expect(ruleOf(9, 'other')).toBeUndefined()
  })

  test('[U11] bans and words end', () => {
    const { bans, attempt, ruleOf, pass } = setUp()
    bans.failed(attempt(1, 1), HUNG)
    pass(LIMITS.kernelWordMs + 1)
    bans.failed(attempt(1, 2), HUNG)
    expect(ruleOf(1)).toBeUndefined()
    bans.failed(attempt(1, 4), HUNG)
    expect(ruleOf(1)).toBe('kernels.banned')
    pass(LIMITS.kernelBanMs + 1)
    expect(ruleOf(1)).toBeUndefined()
  })

  test('work that is no submitted kernel is never refused', () => {
    const { bans } = setUp()
    const digest: Bytes32 = `0x${'0'.repeat(64)}`
    bans.check({ kind: 'model', model: 'm', digest, inputs: [] }, 'acme')
  })
})
