/** Kernels that hang devices, by the digest of their text: reported by nodes, banned by the hub, kept over its restarts. */
import { z } from 'zod'
import { AppError } from '#shared/errors.ts'
import { Bytes32 } from '#shared/ids.ts'
import type { Work } from '#shared/job.ts'
import { HANG_RULE } from '#shared/kernel-rules.ts'
import { LIMITS } from '#shared/limits.ts'
import type { Log } from '#shared/log.ts'
import type { NodeTrust } from '#shared/policy.ts'
import type { SqlStorage } from '../storage.ts'

/** One try of a job on a node. Rules: docs/design/kernels-untrusted.md. */
export interface KernelAttempt {
  readonly jobId: string
  readonly tenant: string
  readonly work: Work
  readonly nodeId: string
  readonly trust: NodeTrust
}

export interface KernelBans {
  /** @throws {AppError} forbidden, rule `kernels.banned` or `kernels.tenant` */
  check(work: Work, tenant: string): void
  completed(attempt: KernelAttempt): void
  /** Takes note of a failure that speaks against the kernel: a hang that the node reports, or a second node lost in one job. */
  failed(attempt: KernelAttempt, error: AppError): void
}

export interface KernelBansDeps {
  readonly storage: SqlStorage
  readonly now: () => number
  readonly log: Log
}

/** Different nodes that must report, before completions raise it. */
const REPORTS = 2
/** However many nodes have completed it, this many reports are enough. */
const MOST_REPORTS = 4
/** Banned kernels of one tenant within the time of a ban, from which on none of its kernels is taken. */
const TENANT_BANS = 3
/** A node that has reported so many kernels that nobody else's word has banned is not heard any more. */
const UNHEEDED_REPORTS = 3

/** Words between two clearings of old ones. */
const FORGET_EVERY = 1_000

const Count = z.object({ count: z.int() })

export function createKernelBans(deps: KernelBansDeps): KernelBans {
  const { log } = deps
  const { banned, countOf, forget, note, ban } = openWords(deps)
  /** What is written already, so that a busy kernel is not written with every job. */
  const noted = new Set<string>()
  /** Node that was lost, by job. */
  const lost = new Map<string, KernelAttempt>()
  const report = ({ work, tenant, nodeId, trust }: KernelAttempt) => {
    forget()
    if (work.kind !== 'kernel' || banned.has(work.digest)) return
    const unheeded =
      'SELECT count(*) AS count FROM kernel_words WHERE node = ? AND hung = 1 AND digest NOT IN (SELECT digest FROM kernel_bans)'
    if (trust === 'public' && countOf(unheeded, nodeId) >= UNHEEDED_REPORTS) return
    note(work.digest, nodeId, 1)
    const words = 'SELECT count(*) AS count FROM kernel_words WHERE digest = ? AND hung = ?'
    const reports = countOf(words, work.digest, 1)
    const completions = countOf(words, work.digest, 0)
    const needed = trust === 'public' ? Math.min(MOST_REPORTS, REPORTS + completions) : 1
    log.warn('kernel.hung', { digest: work.digest, nodeId, reports, needed })
    if (reports < needed) return
    ban(work.digest, tenant)
    log.error('kernel.banned', { digest: work.digest, tenant, reports })
  }

  return {
    check(work, tenant) {
      if (work.kind !== 'kernel') return
      if (banned.size > 0) forget()
      if (banned.has(work.digest))
        throw refuse('kernels.banned', `Kernel ${work.digest} has hung devices and is banned.`)
      const query = 'SELECT count(*) AS count FROM kernel_bans WHERE tenant = ?'
      if (banned.size >= TENANT_BANS && countOf(query, tenant) >= TENANT_BANS)
        throw refuse('kernels.tenant', `${TENANT_BANS} kernels of this tenant have hung devices.`)
    },
    completed({ work, nodeId, jobId }) {
      lost.delete(jobId)
      if (work.kind !== 'kernel' || banned.has(work.digest)) return
      const key = `${work.digest} ${nodeId}`
      if (noted.has(key)) return
      if (noted.size >= LIMITS.kernelWords) noted.clear()
      if (noted.size % FORGET_EVERY === 0) forget()
      noted.add(key)
      note(work.digest, nodeId, 0)
    },
    failed(attempt, { code, meta: { isNodesWord, rule } }) {
      if (attempt.work.kind !== 'kernel') return
      if (isNodesWord === true) {
        if (code === 'node_timeout' && rule === HANG_RULE) report(attempt)
      } else if (code === 'node_lost') {
        // One lost node says nothing: tabs are closed. Two in one job say something.
        const first = lost.get(attempt.jobId)
        if (first === undefined) lost.set(attempt.jobId, attempt)
        else for (const each of [first, attempt]) report({ ...each, trust: 'public' })
        const [oldest] = lost.keys()
        if (lost.size > LIMITS.kernelLostJobs && oldest !== undefined) lost.delete(oldest)
      }
    },
  }
}

/** The words of nodes and what they have banned, in the hub's database; bounded in number and age. */
function openWords({ storage: { sql }, now }: KernelBansDeps) {
  sql.exec(
    'CREATE TABLE IF NOT EXISTS kernel_bans (digest TEXT PRIMARY KEY, tenant TEXT NOT NULL, at_ms INTEGER NOT NULL)',
  )
  sql.exec(
    'CREATE TABLE IF NOT EXISTS kernel_words (digest TEXT NOT NULL, node TEXT NOT NULL, hung INTEGER NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY (digest, node))',
  )
  const banned = new Set(
    sql
      .exec('SELECT digest FROM kernel_bans')
      .toArray()
      .map((row) => Bytes32.parse(row.digest)),
  )
  const countOf = (query: string, ...bindings: (string | number)[]) =>
    Count.parse(sql.exec(query, ...bindings).toArray()[0]).count

  const forget = () => {
    sql.exec('DELETE FROM kernel_words WHERE at_ms < ?', now() - LIMITS.kernelWordMs)
    sql.exec(
      'DELETE FROM kernel_words WHERE rowid IN (SELECT rowid FROM kernel_words ORDER BY at_ms DESC LIMIT -1 OFFSET ?)',
      LIMITS.kernelWords,
    )
    const old = sql
      .exec(
        'DELETE FROM kernel_bans WHERE at_ms < ? OR digest IN (SELECT digest FROM kernel_bans ORDER BY at_ms DESC LIMIT -1 OFFSET ?) RETURNING digest',
        now() - LIMITS.kernelBanMs,
        LIMITS.kernelBans,
      )
      .toArray()
    for (const { digest } of old) banned.delete(Bytes32.parse(digest))
  }
  /** A node has one word on a kernel; that it hung outweighs that it once ran. */
  const note = (digest: string, nodeId: string, hung: 0 | 1) =>
    sql.exec(
      'INSERT INTO kernel_words (digest, node, hung, at_ms) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET hung = max(hung, excluded.hung), at_ms = excluded.at_ms',
      digest,
      nodeId,
      hung,
      now(),
    )
  const ban = (digest: Bytes32, tenant: string) => {
    sql.exec('INSERT INTO kernel_bans VALUES (?, ?, ?)', digest, tenant, now())
    banned.add(digest)
  }
  return { banned, countOf, forget, note, ban }
}

function refuse(rule: string, what: string): AppError {
  return new AppError(
    'forbidden',
    `${what} Bans end after ${LIMITS.kernelBanMs / 86_400_000} days.`,
    {
      meta: { rule },
    },
  )
}
