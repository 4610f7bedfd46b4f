/** A tenant's idempotency keys: who runs a request, who waits for it, and its answer for a day. */
import { bytesToHex } from 'viem'
import { JobId, newJobId } from '#shared/base/ids.ts'
import { MIB } from '#shared/base/limits.ts'
import { numberIn, type Row } from '#worker/platform/storage.ts'
import type { TenantDatabase, TenantDeps } from '#worker/tenant/log/database.ts'
import {
  onceJob,
  type IdempotencyHold,
  type IdempotencyVerdict,
  type IdempotentRequest,
  type KeptAnswer,
  type TenantIdempotency,
  IDEMPOTENCY_KEPT_MS,
  IDEMPOTENCY_WAIT_MS,
} from '#worker/protocols/idempotency.ts'
import { REQUEST_TIMEOUT_MS } from '#worker/protocols/hub.ts'
import { invariant } from '#shared/base/errors.ts'

/** Keys of one tenant. */
export const IDEMPOTENCY_KEYS = 100_000
/** Recorded answers of one tenant. */
export const IDEMPOTENCY_TOTAL_BYTES = 256 * MIB
/** After this time without news of the first request, the next one with its key may run. */
export const IDEMPOTENCY_LEASE_MS = 90_000
const IDEMPOTENCY_WAITERS = 4_096
invariant(IDEMPOTENCY_LEASE_MS > REQUEST_TIMEOUT_MS, 'A lease outlasts its request.')

export interface IdempotencyStore extends TenantIdempotency {
  /** Erases what is due. @returns when the next is due */
  sweep(): number | undefined
}

const TAKE =
  'INSERT OR REPLACE INTO idempotency (key, fingerprint, token, job_id, sends, lease_until_ms, body_bytes, erase_at_ms) ' +
  'VALUES (?, ?, ?, ?, ?, ?, 0, ?)'

const OLDEST = 'SELECT min(erase_at_ms) FROM idempotency'
/** The lease of a key that nobody holds. */
const RELEASED = 0

export function createIdempotencyStore(
  database: TenantDatabase,
  deps: TenantDeps,
): IdempotencyStore {
  const { nowMs } = deps
  const { rows } = database
  const totals = createTotals(rows)
  const waiting = createWaitingRoom()
  const find = (key: string) => rows('SELECT * FROM idempotency WHERE key = ?', key)[0]
  const holds = ({ key, token }: IdempotencyHold) => {
    const row = find(key)
    return row !== undefined && row['token'] === token && row['lease_until_ms'] !== null
  }

  /** Gives the key to this caller: it was free, released, or its holder has been silent too long. */
  function take({ key, fingerprint }: IdempotentRequest, before?: Row): IdempotencyVerdict {
    const [token, now] = [bytesToHex(deps.random(32)), nowMs()]
    const { jobId, sends } = countSending(fingerprint, before, deps)
    rows(
      TAKE,
      key,
      fingerprint,
      token,
      jobId,
      sends,
      now + IDEMPOTENCY_LEASE_MS,
      now + IDEMPOTENCY_KEPT_MS,
    )
    // A silent holder's row has no body, so the bytes stay the same.
    if (before === undefined) totals.add({ keys: 1, bytes: 0 })
    deps.wakeAt?.(now + IDEMPOTENCY_KEPT_MS)
    return { kind: 'run', token, once: onceJob(jobId, sends) }
  }

  return {
    async begin(request) {
      const giveUpAtMs = nowMs() + IDEMPOTENCY_WAIT_MS
      for (;;) {
        const now = nowMs()
        totals.erase('erase_at_ms <= ?', now)
        const row = find(request.key)
        if (row === undefined) return fullness(rows, totals, now) ?? take(request)
        if (row['lease_until_ms'] === RELEASED) return take(request, row)
        if (row['fingerprint'] !== request.fingerprint) return { kind: 'reused' }
        if (row['lease_until_ms'] === null) return { kind: 'replay', answer: toAnswer(row) }
        const leaseUntilMs = Number(row['lease_until_ms'])
        if (leaseUntilMs <= now) return take(request, row)
        if (giveUpAtMs <= now) return { kind: 'busy' }
        if (waiting.size() >= IDEMPOTENCY_WAITERS) return { kind: 'full', retryAfterMs: 1_000 }
        await waiting.wait(request.key, Math.min(leaseUntilMs, giveUpAtMs) - now)
      }
    },

    complete(hold, { status, headers, body }) {
      if (!holds(hold)) return false
      const fits = totals.now().bytes + (body?.length ?? 0) <= IDEMPOTENCY_TOTAL_BYTES
      const stored = fits ? body : null
      rows(
        'UPDATE idempotency SET lease_until_ms = NULL, job_id = NULL, status = ?, headers = ?, body = ?, body_bytes = ? WHERE key = ?',
        status,
        JSON.stringify(headers),
        stored,
        stored?.length ?? 0,
        hold.key,
      )
      totals.add({ keys: 0, bytes: stored?.length ?? 0 })
      waiting.wake(hold.key)
      return true
    },

    release(hold, isBegun) {
      if (!holds(hold)) return
      if (isBegun)
        rows('UPDATE idempotency SET lease_until_ms = ? WHERE key = ?', RELEASED, hold.key)
      else totals.erase('key = ?', hold.key)
      waiting.wake(hold.key)
    },

    sweep() {
      if (!database.exists()) return undefined
      totals.erase('erase_at_ms <= ?', nowMs())
      return numberIn(rows(OLDEST))
    },
  }
}

type Rows = TenantDatabase['rows']

interface Totals {
  readonly keys: number
  readonly bytes: number
}

/** The number of keys and bytes: counted once in this object's life, then updated with each change. */
function createTotals(rows: Rows) {
  let known: Totals | undefined
  const now = (): Totals => (known ??= count(rows))
  const add = (change: Totals): void => {
    const { keys, bytes } = now()
    known = { keys: keys + change.keys, bytes: bytes + change.bytes }
  }
  return {
    now,
    add,
    erase(
      which: 'key = ?' | 'erase_at_ms <= ?' | 'lease_until_ms = ?',
      value: string | number,
    ): void {
      now()
      for (const row of rows(`DELETE FROM idempotency WHERE ${which} RETURNING body_bytes`, value))
        add({ keys: -1, bytes: -Number(row['body_bytes']) })
    },
  }
}

function count(rows: Rows): Totals {
  const query = 'SELECT count(*) AS keys, coalesce(sum(body_bytes), 0) AS bytes FROM idempotency'
  const [total] = rows(query)
  return { keys: Number(total?.['keys']), bytes: Number(total?.['bytes']) }
}

/** The same request again is the same job again. */
function countSending(
  fingerprint: string,
  before: Row | undefined,
  { random }: Pick<TenantDeps, 'random'>,
): { readonly jobId: JobId; readonly sends: number } {
  return before?.['fingerprint'] === fingerprint
    ? { jobId: JobId.parse(before['job_id']), sends: Number(before['sends']) + 1 }
    : { jobId: newJobId(random), sends: 1 }
}

/** When there is no room, released keys go first: nobody holds them. */
function fullness(
  rows: Rows,
  totals: ReturnType<typeof createTotals>,
  nowMs: number,
): IdempotencyVerdict | undefined {
  if (totals.now().keys < IDEMPOTENCY_KEYS) return undefined
  totals.erase('lease_until_ms = ?', RELEASED)
  if (totals.now().keys < IDEMPOTENCY_KEYS) return undefined
  return { kind: 'full', retryAfterMs: Math.max(1_000, (numberIn(rows(OLDEST)) ?? 0) - nowMs) }
}

function toAnswer(row: Row): KeptAnswer {
  const body = row['body']
  return {
    status: Number(row['status']),
    headers: JSON.parse(String(row['headers'])) as Record<string, string>,
    body: body instanceof ArrayBuffer || body instanceof Uint8Array ? new Uint8Array(body) : null,
  }
}

/** Callers that wait for a key. They are kept in memory only: after a restart they ask again. */
function createWaitingRoom() {
  const callers = new Map<string, Set<() => void>>()
  let size = 0
  return {
    size: () => size,
    wake(key: string) {
      for (const wake of callers.get(key) ?? []) wake()
    },
    async wait(key: string, timeoutMs: number): Promise<void> {
      const { promise, resolve } = Promise.withResolvers<void>()
      const own = callers.get(key) ?? new Set<() => void>()
      callers.set(key, own.add(resolve))
      size += 1
      const timer = setTimeout(resolve, timeoutMs)
      await promise
      clearTimeout(timer)
      size -= 1
      own.delete(resolve)
      if (own.size === 0 && callers.get(key) === own) callers.delete(key)
    },
  }
}
