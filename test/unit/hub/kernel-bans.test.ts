/** Reports that ban a kernel, and reports that do not. Rules: docs/design/kernels-untrusted.md. */
import { describe, expect, test } from 'vitest'
import { sha256, stringToBytes } from 'viem'
import { SPECTRUM_KERNEL } from '#engine/kernels/spectrum.ts'
import { AppError, toAppError } from '#shared/base/errors.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { LISTED_KERNELS } from '#shared/kernels/listed-kernels.ts'
import { silentLog } from '#shared/base/log.ts'
import type { NodeTrust } from '#shared/law/policy.ts'
import { NodeError } from '#p2p/stream/wire-error.ts'
import { createKernelBans, type KernelAttempt } from '#worker/hub/bans/kernel-bans.ts'
import { createKernelRegister, KERNEL_PUBLIC_BAN_MS } from '#worker/kernels/register.ts'
import {
  type KernelRegisterApi,
  KERNEL_BAN_MS,
  KERNEL_REPORT_MS,
} from '#worker/protocols/kernels.ts'
import { kernelJob } from '#test/support/engine/engine-jobs.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'
import { KERNEL_BANS_CACHED_MS, KERNEL_BANS_STALE_MS } from '#worker/hub/bans/ban-list.ts'
import { KERNEL_TRIALS_PER_HOUR } from '#worker/hub/bans/kernel-trials.ts'

const HUNG = new NodeError('node_timeout', 'It hung.')
const LOST = new AppError('node_lost', 'The stream ended.')
const HOUR_MS = 3_600_000

/** A register whose disk stays when it is opened again, and which can be cut off. */
function createPlace(now: () => number) {
  const storage = createSqliteStorage()
  const open = () => createKernelRegister({ storage, nowMs: now, log: silentLog })
  const place = {
    register: open(),
    isCut: false,
    calls: 0,
    restart: () => void (place.register = open()),
  }
  const reach = <T>(work: () => Promise<T>): Promise<T> => {
    place.calls += 1
    return place.isCut ? Promise.reject(new Error('cut off')) : work()
  }
  const api: KernelRegisterApi = {
    report: (words, since) => reach(() => place.register.report(words, since)),
    bans: (since) => reach(() => place.register.bans(since)),
  }
  return { place, api }
}

function setUp() {
  let nowMs = 1_000_000_000
  const now = () => nowMs
  const [home, far] = [createPlace(now), createPlace(now)]
  const openHub = (own = home, other = far) =>
    createKernelBans({ registers: { home: own.api, others: [other.api] }, now, log: silentLog })
  const bans = openHub()
  const kernel = (serial: number) => kernelJob({ wgsl: `// ${serial}`, buffers: [{}] }).work
  const attempt = (
    serial: number,
    reporter: number,
    trust: NodeTrust = 'public',
  ): KernelAttempt => ({
    jobId: `job-${serial}-${reporter}`,
    tenant: 'acme',
    work: kernel(serial),
    reporter: `reporter-${trust}-${reporter}`,
    trust,
    heldMs: LIMITS.kernelRunMs,
  })
  return {
    bans,
    home,
    far,
    openHub,
    attempt,
    pass: (ms: number): void => {
      nowMs += ms
    },
    /** Once everything that was said has been told, and every copy is fresh. */
    barOf: async (serial: number, { tenant = 'acme', using = bans } = {}): Promise<string> => {
      await new Promise((told) => setImmediate(told))
      nowMs += KERNEL_BANS_CACHED_MS
      return using.check(kernel(serial), tenant).catch((error: unknown) => {
        const { code, meta } = toAppError(error)
        return `${code} ${meta.rule ?? ''}`
      })
    },
  }
}

const BANNED = 'forbidden kernels.banned'

describe('words of nodes', () => {
  test('[U11] one reporter bans nothing, however many nodes speak with it and however often', async () => {
    const { bans, attempt, barOf } = setUp()
    for (let i = 0; i < 10; i += 1) bans.failed({ ...attempt(1, 1), jobId: `${i}` }, HUNG)
    expect(await barOf(1)).toBe('none')
  })

  test('[U11] two public reporters keep a kernel from public nodes, for every tenant, and from no other', async () => {
    const { bans, attempt, barOf } = setUp()
    for (const reporter of [1, 2]) bans.failed(attempt(1, reporter), HUNG)
    expect(await barOf(1)).toBe('public')
    expect(await barOf(1, { tenant: 'other' })).toBe('public')
    expect(await barOf(2)).toBe('none')
    for (let reporter = 3; reporter < 50; reporter += 1) bans.failed(attempt(1, reporter), HUNG)
    expect(await barOf(1)).toBe('public')
  })

  test('[U11] the word of a node that somebody vouches for bans a kernel that nobody has completed', async () => {
    const { bans, attempt, barOf } = setUp()
    bans.failed(attempt(1, 1, 'verified'), HUNG)
    expect(await barOf(1)).toBe(BANNED)
  })

  test('[U11] one customer cannot take from everybody what runs well elsewhere, two can', async () => {
    const { bans, attempt, barOf } = setUp()
    bans.completed(attempt(1, 9, 'verified'))
    for (let node = 0; node < 9; node += 1)
      bans.failed({ ...attempt(1, 1, 'verified'), jobId: `${node}` }, HUNG)
    expect(await barOf(1)).toBe('none')
    bans.failed(attempt(1, 2, 'verified'), HUNG)
    expect(await barOf(1)).toBe(BANNED)
  })

  test('[U11] a kernel that others have completed needs more reporters, but never more than four', async () => {
    const { bans, attempt, barOf } = setUp()
    for (let reporter = 10; reporter < 20; reporter += 1) bans.completed(attempt(1, reporter))
    for (const reporter of [1, 2, 3]) bans.failed(attempt(1, reporter), HUNG)
    expect(await barOf(1)).toBe('none')
    bans.failed(attempt(1, 4), HUNG)
    expect(await barOf(1)).toBe('public')
  })

  test('[U11] a public reporter that reports kernel after kernel is not heard any more', async () => {
    const { bans, attempt, barOf } = setUp()
    for (const serial of [1, 2, 3, 4]) bans.failed(attempt(serial, 1), HUNG)
    bans.failed(attempt(4, 2), HUNG)
    expect(await barOf(4)).toBe('none')
    bans.failed(attempt(1, 2), HUNG)
    expect(await barOf(1)).toBe('public')
  })

  test('[U11] only a hang counts: not a timeout of the hub, not what else a node says', async () => {
    const { bans, attempt, barOf } = setUp()
    const others = [
      new AppError('node_timeout', 'No answer.', { meta: { rule: 'kernels.hang' } }),
      new NodeError('too_large', 'Big.', { meta: { rule: 'kernels.hang' } }),
      new NodeError('no_capacity', 'Hung.', { meta: { rule: 'kernels.banned' } }),
    ]
    for (const reporter of [1, 2, 3])
      for (const error of others) bans.failed(attempt(1, reporter, 'verified'), error)
    // It cannot have run for two seconds by then.
    const tooSoon = { ...attempt(1, 1, 'verified'), heldMs: LIMITS.kernelRunMs - 1 }
    expect(bans.failed(tooSoon, HUNG)).toBe(false)
    expect(await barOf(1)).toBe('none')
  })

  test('[U12] two nodes lost in one job speak against its kernel, in two jobs they do not', async () => {
    const { bans, attempt, barOf } = setUp()
    bans.failed({ ...attempt(1, 1), jobId: 'a' }, LOST)
    bans.failed({ ...attempt(1, 2), jobId: 'b' }, LOST)
    expect(await barOf(1)).toBe('none')
    bans.failed({ ...attempt(1, 3), jobId: 'a' }, LOST)
    expect(await barOf(1)).toBe('public')
  })

  test('[U12] and are strangers’ words, whoever vouches for them', async () => {
    const { bans, attempt, barOf } = setUp()
    for (const reporter of [1, 2])
      bans.failed({ ...attempt(1, reporter, 'verified'), jobId: 'a' }, LOST)
    expect(await barOf(1)).toBe('public')
  })

  test('[U14] nobody’s words ban a kernel of our own, or work that is no submitted kernel', async () => {
    const { bans, attempt } = setUp()
    const { wgsl } = SPECTRUM_KERNEL
    const own = kernelJob({ wgsl, buffers: [{}] }).work
    expect(LISTED_KERNELS).toEqual([sha256(stringToBytes(wgsl))])
    for (const reporter of [1, 2, 3, 4, 5])
      bans.failed({ ...attempt(1, reporter, 'verified'), work: own }, HUNG)
    expect(await bans.check(own, 'acme')).toBe('none')
    const digest: Bytes32 = `0x${'0'.repeat(64)}`
    expect(await bans.check({ kind: 'model', model: 'm', digest, inputs: [] }, 'acme')).toBe('none')
  })
})

describe('bans', () => {
  test('[U11] end: a day after public words, seven after others', async () => {
    const { bans, attempt, barOf, pass } = setUp()
    for (const reporter of [1, 2]) bans.failed(attempt(1, reporter), HUNG)
    bans.failed(attempt(2, 1, 'verified'), HUNG)
    expect([await barOf(1), await barOf(2)]).toEqual(['public', BANNED])
    pass(KERNEL_PUBLIC_BAN_MS)
    expect([await barOf(1), await barOf(2)]).toEqual(['none', BANNED])
    pass(KERNEL_BAN_MS)
    expect(await barOf(2)).toBe('none')
  })

  test('[U11] take words of one day', async () => {
    const { bans, attempt, barOf, pass } = setUp()
    bans.failed(attempt(1, 1), HUNG)
    expect(await barOf(1)).toBe('none')
    pass(KERNEL_REPORT_MS)
    bans.failed(attempt(1, 2), HUNG)
    expect(await barOf(1)).toBe('none')
    bans.failed({ ...attempt(1, 1), jobId: 'again' }, HUNG)
    expect(await barOf(1)).toBe('public')
  })

  test('[U15] hold at every hub: beside it, after restarts, and in another jurisdiction', async () => {
    const { bans, openHub, home, far, attempt, barOf } = setUp()
    const [beside, abroad] = [openHub(), openHub(far, home)]
    expect(await barOf(1, { using: beside })).toBe('none')
    // Each hub has heard one reporter: together they are two.
    bans.failed(attempt(1, 1), HUNG)
    expect(await barOf(1)).toBe('none')
    beside.failed(attempt(1, 2), HUNG)
    expect(await barOf(1, { using: beside })).toBe('public')
    expect(await barOf(1)).toBe('public')
    expect(await barOf(1, { using: abroad })).toBe('public')
    home.place.restart()
    expect(await barOf(1, { using: openHub() })).toBe('public')
  })

  test('[U15] leave a jurisdiction as bare digests', async () => {
    const { bans, home, attempt, barOf } = setUp()
    bans.failed(attempt(1, 1, 'verified'), HUNG)
    await barOf(1)
    const { bans: told } = await home.place.register.bans(0)
    expect(told.map((ban) => Object.keys(ban))).toEqual([['digest', 'isForAll', 'untilMs']])
  })

  test('[U15] are read at most every five seconds, and not at all for other work', async () => {
    const { bans, home, attempt, pass } = setUp()
    for (let i = 0; i < 100; i += 1) await bans.check(attempt(1, 1).work, 'acme')
    expect(home.place.calls).toBe(1)
    pass(KERNEL_BANS_CACHED_MS)
    await bans.check({ kind: 'model', model: 'm', digest: `0x${'0'.repeat(64)}`, inputs: [] }, 'a')
    expect(home.place.calls).toBe(1)
  })

  test('[U16] that cannot be read for a minute mean that no submitted kernel runs', async () => {
    const { bans, home, far, attempt, barOf, pass, openHub } = setUp()
    bans.failed(attempt(1, 1, 'verified'), HUNG)
    expect(await barOf(1)).toBe(BANNED)
    home.place.isCut = true
    far.place.isCut = true
    expect([await barOf(1), await barOf(2)]).toEqual([BANNED, 'none'])
    pass(KERNEL_BANS_STALE_MS)
    expect(await barOf(2)).toBe('no_capacity ')
    // A hub that has just started knows nothing.
    expect(await barOf(2, { using: openHub() })).toBe('no_capacity ')
    bans.failed(attempt(3, 1, 'verified'), HUNG)
    home.place.isCut = false
    // The report made in the meantime is sent now, without waiting for the other jurisdiction.
    expect(await barOf(3)).toBe(BANNED)
    expect(await barOf(2)).toBe('none')
  })
})

describe('a tenant whose kernels were banned', () => {
  async function tenantWithBans(trust: NodeTrust) {
    const all = setUp()
    for (const serial of [1, 2, 3])
      for (const reporter of [10 * serial, 10 * serial + 1])
        all.bans.failed(all.attempt(serial, reporter, trust), HUNG)
    await all.barOf(1)
    all.bans.completed(all.attempt(50, 1))
    const tries: string[] = []
    for (let serial = 100; serial < 100 + KERNEL_TRIALS_PER_HOUR + 2; serial += 1)
      tries.push(await all.barOf(serial))
    return { ...all, tries }
  }

  test('[U13] by strangers’ words has fewer new texts on strangers’ nodes, and everything else', async () => {
    const { tries, barOf, pass } = await tenantWithBans('public')
    const few = tries.slice(0, KERNEL_TRIALS_PER_HOUR)
    expect(few).toEqual(few.map(() => 'none'))
    expect(tries.slice(-2)).toEqual(['public', 'public'])
    // Kernels that ran or were tried before may run again, and other tenants are not affected.
    expect(await barOf(50)).toBe('none')
    expect(await barOf(100)).toBe('none')
    expect(await barOf(200, { tenant: 'other' })).toBe('none')
    pass(HOUR_MS)
    expect(await barOf(300)).toBe('none')
  })

  test('[U13] by words that somebody vouches for has fewer new texts at all, and is never shut out', async () => {
    const { tries, barOf, pass } = await tenantWithBans('verified')
    expect(tries.slice(-2)).toEqual(['rate_limited kernels.tenant', 'rate_limited kernels.tenant'])
    expect(await barOf(50)).toBe('none')
    pass(HOUR_MS)
    expect(await barOf(300)).toBe('none')
  })
})
