/** Kernels that hang devices, as one hub sees them: what its nodes say goes to the register, what is banned comes from there. */
import { BoundedMap } from '#shared/base/bounded-map.ts'
import { sha256, stringToBytes } from 'viem'
import { AppError } from '#shared/base/errors.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import type { Work } from '#shared/job/job.ts'
import { BANNED_RULE, HANG_RULE } from '#shared/kernels/rules.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { LISTED_KERNELS } from '#shared/kernels/listed-kernels.ts'
import type { Log } from '#shared/base/log.ts'
import type { NodeTrust } from '#shared/law/policy.ts'
import { NodesWord } from '#p2p/stream/wire-error.ts'
import { createBanList, type KernelRegisters } from './ban-list.ts'
import { createKernelTrials } from './kernel-trials.ts'

/** One try of a job on a node. Rules: docs/design/kernels-untrusted.md. */
export interface KernelAttempt {
  readonly jobId: string
  readonly tenant: string
  readonly work: Work
  /** Who speaks when the node does. */
  readonly reporter: string
  readonly trust: NodeTrust
  /** For how long the node had the job, by the hub's clock. */
  readonly heldMs: number
}

/** Which nodes a kernel is kept from. */
export type KernelBar = 'none' | 'public' | 'all'

export interface KernelBans {
  /**
   * Before a job begins, with bans that are at most ten seconds old.
   * @returns whether public nodes are barred to it
   * @throws {AppError} forbidden, rule `kernels.banned`; rate_limited, rule `kernels.tenant`; no_capacity while nobody can say what is banned
   */
  check(work: Work, tenant: string): Promise<Exclude<KernelBar, 'all'>>
  /** The same of the text alone, as it is known now. */
  barOf(work: Work): KernelBar
  /** Whether it is not a stranger's kernel, or one that has run to its end here: what else may hang a node. */
  hasRun(work: Work): boolean
  completed(attempt: KernelAttempt): void
  /**
   * Takes note of a failure that speaks against the kernel: a hang that the node reports and the hub's own clock bears
   * out, or a second node lost in one job.
   * @returns whether the node says that it hung, and had it long enough for that
   */
  failed(attempt: KernelAttempt, error: AppError): boolean
}

export interface KernelBansDeps {
  readonly registers: KernelRegisters
  readonly now: () => number
  readonly log: Log
}

export function createKernelBans({ registers, now, log }: KernelBansDeps): KernelBans {
  const list = createBanList({ registers, now, log })
  const trials = createKernelTrials(now)
  /** What has been said already, so that a busy kernel is not spoken of with every job. */
  const noted = createNoted(now)
  /** Node that was lost, by job. */
  const lost = new BoundedMap<string, KernelAttempt>(LIMITS.kernelLostJobs)
  const barOf = (work: Work): KernelBar => {
    const ban = isSubmitted(work) ? list.get(work.digest) : undefined
    return ban === undefined ? 'none' : ban.isForAll ? 'all' : 'public'
  }
  const say = ({ work, tenant, reporter, trust }: KernelAttempt, isHung: boolean) => {
    if (!isSubmitted(work)) return
    const isVouched = trust !== 'public'
    if (noted.has(`${work.digest} ${reporter} ${isHung}`)) return
    list.say({ digest: work.digest, reporter, isVouched, isHung, author: authorOf(tenant) })
    if (isHung) log.warn('kernel.hung', { digest: work.digest, isVouched })
  }

  return {
    barOf,
    hasRun: (work) => !isSubmitted(work) || trials.hasRun(work.digest),
    async check(work, tenant) {
      if (!isSubmitted(work)) return 'none'
      await list.fresh()
      const bar = barOf(work)
      if (bar === 'all') throw bannedKernel(work.digest)
      if (bar === 'public' || list.isEmpty()) return bar
      const author = authorOf(tenant)
      return trials.barOf(work.digest, { author, ...list.countOf(author) })
    },
    completed(attempt) {
      lost.delete(attempt.jobId)
      if (!isSubmitted(attempt.work)) return
      trials.completed(attempt.work.digest)
      say(attempt, false)
    },
    failed(attempt, error) {
      if (!isSubmitted(attempt.work)) return false
      const { code } = error
      if (error instanceof NodesWord) {
        const isHung = code === 'node_timeout' && attempt.heldMs >= LIMITS.kernelRunMs
        if (isHung) say(attempt, true)
        return isHung
      }
      if (code === 'node_lost') {
        // One lost node says nothing: tabs are closed. Two in one job say something.
        const first = lost.get(attempt.jobId)
        if (first === undefined) lost.set(attempt.jobId, attempt)
        else for (const each of [first, attempt]) say({ ...each, trust: 'public' }, true)
      }
      return false
    },
  }
}

/** Forgets in time for what is said again to be heard before the register has forgotten it. */
function createNoted(now: () => number) {
  const noted = new Set<string>()
  let sinceMs = now()
  return {
    /** Whether it was asked before. */
    has(key: string): boolean {
      if (noted.size >= LIMITS.kernelReports || now() - sinceMs > LIMITS.kernelReportMs / 2) {
        noted.clear()
        sinceMs = now()
      }
      if (noted.has(key)) return true
      noted.add(key)
      return false
    },
  }
}

/** What strangers wrote: our own kernels are ours to mend, whatever nodes say of them. */
function isSubmitted(work: Work): work is Extract<Work, { kind: 'kernel' }> {
  return work.kind === 'kernel' && !LISTED_KERNELS.includes(work.digest)
}

function authorOf(tenant: string): string {
  return sha256(stringToBytes(tenant))
}

/** Other hubs may have nodes that it is not kept from. */
export class BannedKernel extends AppError {}

/** It is not given to another node. @param heldMs how long the node had it, by the hub's own clock */
export function hungKernel(heldMs: number): AppError {
  const { kernelRunMs, kernelCompileMs } = LIMITS
  const detail =
    heldMs < kernelCompileMs
      ? `The kernel held its device for over ${kernelRunMs} ms.`
      : `The kernel's compiler took over ${kernelCompileMs} ms, or its device did: make the kernel smaller, or do less in one dispatch.`
  return new AppError('node_timeout', detail, { meta: { rule: HANG_RULE } })
}

/** When no node is left that it is not kept from. */
export function bannedKernel(digest: Bytes32): BannedKernel {
  const days = LIMITS.kernelBanMs / 86_400_000
  return new BannedKernel(
    'forbidden',
    `Kernel ${digest} has hung devices and is banned for ${days} days at most, or a day where only nodes that nobody vouches for have said so; then nodes that somebody vouches for may run it.`,
    { meta: { rule: BANNED_RULE } },
  )
}
