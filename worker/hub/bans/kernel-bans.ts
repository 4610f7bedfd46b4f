/** Reports kernels that hang devices, and applies the register's bans. */
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
import { NodeError } from '#p2p/stream/wire-error.ts'
import { createBanList, type KernelRegisters } from './ban-list.ts'
import { createKernelTrials } from './kernel-trials.ts'
import { KERNEL_REPORTS, KERNEL_REPORT_MS, KERNEL_BAN_MS } from '#worker/protocols/kernels.ts'

/** Unfinished kernel jobs that have lost a node. */
const KERNEL_LOST_JOBS = 1_000

/** One attempt of a job on a node. Rules: docs/design/kernels-untrusted.md. */
export interface KernelAttempt {
  readonly jobId: string
  readonly tenant: string
  readonly work: Work
  /** The reporter that the node's reports count for. */
  readonly reporter: string
  readonly trust: NodeTrust
  /** Time that the node had the job, by the hub's clock. */
  readonly heldMs: number
}

/** Which nodes a kernel is barred from. */
export type KernelBar = 'none' | 'public' | 'all'

export interface KernelBans {
  /**
   * Checks a job before it begins, with bans at most ten seconds old.
   * @returns whether it is barred from public nodes
   * @throws {AppError} forbidden, rule `kernels.banned`; rate_limited, rule `kernels.tenant`; no_capacity while the
   * bans are unknown
   */
  check(work: Work, tenant: string): Promise<Exclude<KernelBar, 'all'>>
  /** The bar on the kernel's text alone, as known now. */
  barOf(work: Work): KernelBar
  /** Tells whether the work cannot have hung a node: it is not a submitted kernel, or has completed here. */
  hasRun(work: Work): boolean
  completed(attempt: KernelAttempt): void
  /**
   * Records a failure of the kernel: a reported hang that the hub's clock confirms, or a second node lost in one job.
   * @returns whether the node reports a hang and had the job long enough
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
  /** Reports already made, so that a busy kernel is not reported with every job. */
  const noted = createNoted(now)
  const lost = new BoundedMap<string, KernelAttempt>(KERNEL_LOST_JOBS)
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
      if (error instanceof NodeError) {
        const isHung = code === 'node_timeout' && attempt.heldMs >= LIMITS.kernelRunMs
        if (isHung) say(attempt, true)
        return isHung
      }
      if (code === 'node_lost') {
        // One lost node proves nothing: people close tabs. Two in one job count.
        const first = lost.get(attempt.jobId)
        if (first === undefined) lost.set(attempt.jobId, attempt)
        else for (const each of [first, attempt]) say({ ...each, trust: 'public' }, true)
      }
      return false
    },
  }
}

/** Forgets soon enough that a report is renewed before the register forgets it. */
function createNoted(now: () => number) {
  const noted = new Set<string>()
  let sinceMs = now()
  return {
    /** Tells whether this key was asked for before. */
    has(key: string): boolean {
      if (noted.size >= KERNEL_REPORTS || now() - sinceMs > KERNEL_REPORT_MS / 2) {
        noted.clear()
        sinceMs = now()
      }
      if (noted.has(key)) return true
      noted.add(key)
      return false
    },
  }
}

/** Tells whether a tenant wrote the kernel. Nodes cannot get our own kernels banned. */
function isSubmitted(work: Work): work is Extract<Work, { kind: 'kernel' }> {
  return work.kind === 'kernel' && !LISTED_KERNELS.includes(work.digest)
}

function authorOf(tenant: string): string {
  return sha256(stringToBytes(tenant))
}

/** Refused here; another hub may have nodes that the ban does not cover. */
export class BannedKernel extends AppError {}

/**
 * The error for a kernel that hung; no other node gets it. @param heldMs how long the node had it, by the hub's clock
 */
export function hungKernel(heldMs: number): AppError {
  const detail =
    heldMs < LIMITS.kernelCompileMs
      ? `The kernel held its device for over ${LIMITS.kernelRunMs} ms.`
      : `The kernel took over ${LIMITS.kernelCompileMs} ms to compile or run: make it smaller, or do less in one dispatch.`
  return new AppError('node_timeout', detail, { meta: { rule: HANG_RULE } })
}

/** The error when the ban leaves no node. */
export function bannedKernel(digest: Bytes32): BannedKernel {
  const days = KERNEL_BAN_MS / 86_400_000
  return new BannedKernel(
    'forbidden',
    `Kernel ${digest} has hung devices and is banned for at most ${days} days. If only unvouched nodes reported it, the ban lasts a day and vouched nodes may still run it.`,
    { meta: { rule: BANNED_RULE } },
  )
}
