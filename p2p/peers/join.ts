/** Keeps a node connected to its hub: dial, serve, and reconnect with jitter. */
import type { Connection, Stream } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { AppError, errorCode, toAppError, invariant } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import { systemClock, type Clock } from '#p2p/stream/clock.ts'
import { untilAborted } from '#shared/base/deadline.ts'
import { WORK_PROTOCOL } from '#p2p/stream/frames.ts'
import type { Welcome } from '#p2p/stream/messages.ts'
import type { LittoralNode } from './node.ts'
import { MOST_REDIRECTS, redirected } from './redirect.ts'
import type { WorkHandler } from '#p2p/work/work-handler.ts'
import { serveWork } from '#p2p/work/work-server.ts'
import { STREAM_CLOSE_MS } from '#p2p/stream/frame-stream.ts'
import { REJOIN_MAX_SECONDS } from '#p2p/stream/wire-error.ts'

export const RECONNECT_MIN_MS = 250
export const RECONNECT_MAX_MS = 15_000
invariant(RECONNECT_MIN_MS < RECONNECT_MAX_MS, 'The pause grows.')

export type JoinState = 'connecting' | 'online' | 'waiting' | 'closed'

export interface JoinHubOptions {
  readonly node: LittoralNode
  /** Finds the hub, with a fresh admission; called before every dial. */
  readonly locate: (signal: AbortSignal) => Promise<Multiaddr>
  readonly handler: WorkHandler
  readonly log: Log
  readonly clock?: Clock
  /** Uniform in [0, 1). @default Math.random */
  readonly random?: () => number
  /** `detail` says how the last attempt ended. */
  readonly onState?: (state: JoinState, detail?: string) => void
}

export type HubMembership = ReturnType<typeof joinHub>

export function joinHub(options: JoinHubOptions) {
  const { node, log, clock = systemClock, random = Math.random } = options
  const closing = new AbortController()
  const onState = options.onState ?? (() => {})

  const loop = async () => {
    let next: Multiaddr | undefined
    for (let failures = 0, redirects = 0; !closing.signal.aborted;) {
      onState('connecting')
      const { wasOnline, error, address } = await attend(options, closing.signal, next)
      if (closing.signal.aborted) return
      next = address && redirects < MOST_REDIRECTS ? redirected(address, error) : undefined
      if (next !== undefined) {
        redirects += 1
        log.info('hub.redirected', { redirects })
        continue
      }
      redirects = 0
      failures = wasOnline ? 0 : failures + 1
      // An earlier retry than the hub asked for would be refused again.
      const delayMs = toldMs(error) + reconnectDelayMs(failures, random())
      log.info('hub.left', { code: errorCode(error), waitMs: delayMs, failures })
      onState('waiting', detailOf(error))
      await sleep(delayMs, clock, closing.signal)
    }
  }
  const done = loop()
    .catch((error: unknown) => log.error('hub.abandoned', { detail: String(error) }))
    .finally(() => onState('closed'))
  return {
    /** Says goodbye to the hub and stops reconnecting. */
    async close() {
      closing.abort(new AppError('cancelled', 'The node is leaving.'))
      await done
      await node.unhandle(WORK_PROTOCOL)
    },
  }
}

/** Draws a delay with full jitter from an exponentially growing range, so that nodes that lost one hub return spread out. */
export function reconnectDelayMs(failures: number, random: number): number {
  const ceilingMs = Math.min(RECONNECT_MAX_MS, RECONNECT_MIN_MS * 2 ** Math.min(failures + 2, 30))
  return Math.round(RECONNECT_MIN_MS + random * (ceilingMs - RECONNECT_MIN_MS))
}

interface Attendance {
  readonly wasOnline: boolean
  /** Where it was dialled; undefined if none was found. */
  readonly address: Multiaddr | undefined
  readonly error?: unknown
}

/**
 * Serves one connection to the hub, from dial to end.
 * @param next the hub that another has named. @default the one that `locate` finds
 */
async function attend(
  options: JoinHubOptions,
  closing: AbortSignal,
  next: Multiaddr | undefined,
): Promise<Attendance> {
  const { node, handler, log, clock = systemClock, onState = () => {} } = options
  const opened = Promise.withResolvers<Stream>()
  const attempt = new AbortController()
  let connection: Connection | undefined
  let wasOnline = false
  let address = next
  // A hub may open its stream before the dial returns, so the handler is set first.
  await node.handle(
    WORK_PROTOCOL,
    (stream, from) => {
      if (attempt.signal.aborted) stream.abort(new Error('no longer waiting'))
      else if (connection !== undefined && !from.remotePeer.equals(connection.remotePeer))
        stream.abort(new Error('not our hub'))
      else opened.resolve(stream)
    },
    { force: true },
  )
  const stopTimer = clock.after(LIMITS.openTimeoutMs * 2, () =>
    attempt.abort(new AppError('node_timeout', 'The hub did not open its work stream in time.')),
  )
  const signal = AbortSignal.any([closing, attempt.signal])
  try {
    address ??= await untilAborted(options.locate(signal), signal)
    connection = await node.dial(address, { signal })
    const stream = await untilAborted(opened.promise, signal)
    stopTimer()
    const hubPeerId = connection.remotePeer.toString()
    const onWelcome = ({ quarantine }: Welcome) => {
      wasOnline = true
      onState('online', quarantine ?? undefined)
    }
    await serveWork(stream, handler, { log, clock, signal: closing, hubPeerId, onWelcome })
    return { wasOnline, address }
  } catch (error) {
    return { wasOnline, address, error }
  } finally {
    stopTimer()
    attempt.abort(new AppError('cancelled', 'The attempt is over.'))
    await leave(connection)
  }
}

async function leave(connection: Connection | undefined): Promise<void> {
  if (connection === undefined) return
  try {
    await connection.close({ signal: AbortSignal.timeout(STREAM_CLOSE_MS) })
  } catch (error) {
    connection.abort(error instanceof Error ? error : new Error(String(error)))
  }
}

/** Gives the time that the network told this node to stay away. */
function toldMs(error: unknown): number {
  const { retryAfterSeconds = 0 } = toAppError(error).meta
  return Math.max(0, Math.min(retryAfterSeconds, REJOIN_MAX_SECONDS)) * 1_000
}

function detailOf(error: unknown): string {
  if (error === undefined) return 'The hub closed the connection.'
  if (errorCode(error) !== undefined) return toAppError(error).detail
  return error instanceof Error ? error.message : 'The attempt failed.'
}

async function sleep(delayMs: number, clock: Clock, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const cancel = clock.after(delayMs, resolve)
  await untilAborted(promise, signal).catch(() => {})
  cancel()
}
