/** A hub's copy of the registers' bans, at most ten seconds old. Fails closed when it is too old. */
import { BoundedMap } from '#shared/base/bounded-map.ts'
import { beforeDeadline } from '#shared/base/deadline.ts'
import { AppError, errorCode, invariant } from '#shared/base/errors.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import type { Log } from '#shared/base/log.ts'
import {
  type AuthoredBan,
  type KernelBan,
  type KernelRegisterApi,
  type KernelReport,
  KERNEL_BANS,
} from '#worker/protocols/kernels.ts'

/** Age up to which a hub uses its copy of the bans. */
export const KERNEL_BANS_CACHED_MS = 10_000
/** The same while the register cannot be reached. */
export const KERNEL_BANS_STALE_MS = 60_000
const KERNEL_BANS_TIMEOUT_MS = 5_000
const KERNEL_BANS_RETRY_MS = 1_000
/** Reports that wait in a hub for the next call to the register. */
const KERNEL_REPORTS_WAITING = 1_000
invariant(
  KERNEL_BANS_RETRY_MS < KERNEL_BANS_CACHED_MS && KERNEL_BANS_CACHED_MS < KERNEL_BANS_STALE_MS,
  'The bans can be read again before they are too old.',
)

export interface KernelRegisters {
  /** The register of this hub's jurisdiction. It takes the reports and must be reachable. */
  readonly home: Pick<KernelRegisterApi, 'report'>
  /** Registers of the deployment's other jurisdictions. While one is unreachable, its last bans stand. */
  readonly others: readonly Pick<KernelRegisterApi, 'bans'>[]
}

export interface BanList {
  isEmpty(): boolean
  get(digest: Bytes32): KernelBan | undefined
  /** Counts the banned kernels of this author: all of them, and those barred from every node. */
  countOf(author: string): AuthorCount
  /** Resolves when the copy is fresh. @throws {AppError} no_capacity when it is too old to rely on */
  fresh(): Promise<void>
  /** Reports to the register: a hang at once, a completion with the next reading. */
  say(report: KernelReport): void
}

interface AuthorCount {
  readonly banned: number
  readonly bannedForAll: number
}

export interface BanListDeps {
  readonly registers: KernelRegisters
  readonly now: () => number
  readonly log: Log
}

const NONE: AuthorCount = { banned: 0, bannedForAll: 0 }

interface Copy {
  readonly bans: Map<Bytes32, KernelBan | AuthoredBan>
  sequence: number
}

export function createBanList({ registers: { home, others }, now, log }: BanListDeps): BanList {
  const own = createCopy()
  const copies = [own, ...others.map(createCopy)]
  let authors = new Map<string, AuthorCount>()
  let reports: KernelReport[] = []
  let readAtMs = -Infinity
  let triedAtMs = -Infinity
  let reading: Promise<void> | undefined

  const readHome = async () => {
    const told = reports
    reports = []
    try {
      merge(own, await withinTime(home.report(told, own.sequence)))
      readAtMs = now()
    } catch (error) {
      reports = waiting([...told, ...reports])
      log.error('kernels.register-lost', { code: errorCode(error), waiting: reports.length })
    }
  }
  const readOther = async (register: Pick<KernelRegisterApi, 'bans'>, copy: Copy | undefined) => {
    if (copy === undefined) return
    try {
      merge(copy, await withinTime(register.bans(copy.sequence)))
    } catch (error) {
      log.warn('kernels.register-far', { code: errorCode(error) })
    }
  }
  const read = (): Promise<void> => {
    if (reading !== undefined) return reading
    triedAtMs = now()
    const all = [readHome(), ...others.map((register, i) => readOther(register, copies[i + 1]))]
    reading = Promise.all(all).then(() => {
      reading = undefined
      for (const { bans } of copies)
        for (const [digest, { untilMs }] of bans) if (untilMs < now()) bans.delete(digest)
      authors = countAuthors(own)
      // A hang reported during the reading does not wait for the next job.
      if (reports.some(({ isHung }) => isHung) && readAtMs >= triedAtMs) void read()
    })
    return reading
  }

  return {
    get(digest) {
      const found = copies
        .map(({ bans }) => bans.get(digest))
        .filter((ban) => ban !== undefined && ban.untilMs >= now())
      return found.find((ban) => ban?.isForAll === true) ?? found[0]
    },
    isEmpty: () => copies.every(({ bans }) => bans.size === 0),
    countOf: (author) => authors.get(author) ?? NONE,
    async fresh() {
      const ageMs = now() - readAtMs
      if (ageMs < KERNEL_BANS_CACHED_MS / 2) return
      // Reads ahead of time, so that a busy hub never waits.
      if (ageMs < KERNEL_BANS_CACHED_MS) void read()
      else if (now() - triedAtMs >= KERNEL_BANS_RETRY_MS || reading !== undefined) await read()
      if (now() - readAtMs < KERNEL_BANS_STALE_MS) return
      throw new AppError(
        'no_capacity',
        'The list of banned kernels cannot be read, so submitted kernels are refused for now.',
        { meta: { retryAfterSeconds: 5 } },
      )
    },
    say(report) {
      reports = waiting([...reports, report])
      if (report.isHung) void read()
    },
  }
}

function createCopy(): Copy {
  return { bans: new BoundedMap(KERNEL_BANS), sequence: 0 }
}

function countAuthors({ bans }: Copy): Map<string, AuthorCount> {
  const counts = new Map<string, AuthorCount>()
  for (const ban of bans.values()) {
    if (!('author' in ban)) continue
    const { banned, bannedForAll } = counts.get(ban.author) ?? NONE
    const more = Number(ban.isForAll)
    counts.set(ban.author, { banned: banned + 1, bannedForAll: bannedForAll + more })
  }
  return counts
}

function merge(copy: Copy, told: { sequence: number; bans: readonly KernelBan[] }): void {
  // A lower sequence means the register lost its data. Its earlier bans hold here until they end.
  copy.sequence = told.sequence
  for (const ban of told.bans) copy.bans.set(ban.digest, ban)
}

/** Drops completions before hangs, and older reports before newer ones. */
function waiting(reports: readonly KernelReport[]): KernelReport[] {
  if (reports.length <= KERNEL_REPORTS_WAITING) return [...reports]
  const hung = reports.filter(({ isHung }) => isHung)
  const rest = reports.filter(({ isHung }) => !isHung)
  return [...rest, ...hung].slice(-KERNEL_REPORTS_WAITING)
}

function withinTime<T>(work: Promise<T>): Promise<T> {
  const timeoutMs = KERNEL_BANS_TIMEOUT_MS
  return beforeDeadline(work, { timeoutMs, what: 'The register of kernels' })
}
