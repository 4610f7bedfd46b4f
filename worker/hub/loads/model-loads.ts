/** Model loads that this hub has asked of its nodes. Jobs share a running load, never across a policy. */
import { untilCancelled, type Cancellation } from '#p2p/stream/cancellation.ts'
import { beforeDeadline } from '#shared/base/deadline.ts'
import { BoundedMap } from '#shared/base/bounded-map.ts'
import { AppError, errorCode, toAppError, invariant } from '#shared/base/errors.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import { factsOf, type Directory, type Member } from '#worker/hub/members/directory.ts'
import { createRateLimit } from '#worker/platform/rate-limit.ts'
import {
  mayLoad,
  place,
  type PlacementJob,
  type PlacementView,
  MODEL_PATIENCE_MS,
} from './placement.ts'

/** Loads that one hub requests in a minute for one tenant. */
export const TENANT_MODEL_LOADS = 8
/** Loads that one hub waits for. */
export const HUB_MODEL_LOADS = 32
/** Pause before a hub asks a node again for a model that failed to load. */
const MODEL_LOAD_BACKOFF_MS = 60_000
/** The same pause for a node that had no room because it was busy. */
export const MODEL_BUSY_BACKOFF_MS = 2_000
const HUB_LOADS_REMEMBERED = 2_000
/** While all nodes with a model are busy, one more node is asked to load it at most this often. */
const MODEL_SPREAD_EVERY_MS = 10_000
invariant(TENANT_MODEL_LOADS < HUB_MODEL_LOADS, 'One tenant cannot use all loads of a hub.')
invariant(
  MODEL_BUSY_BACKOFF_MS < MODEL_LOAD_BACKOFF_MS,
  'A busy node is asked sooner than one that failed.',
)

export interface ModelLoadsDeps {
  readonly directory: Directory
  readonly now: () => number
  readonly log: Log
}

export interface ModelLoads {
  /**
   * Has a model loaded that no allowed node has, and waits for it.
   * @returns the time taken in ms, or undefined when no allowed node could load it
   * @throws {AppError} no_capacity when the job's time ends first, rate_limited when its tenant has asked for too many
   * loads, cancelled
   */
  bring(job: PlacementJob, cancellation: Cancellation): Promise<number | undefined>
  /** Has one more node load a model whose nodes are all busy. Does not wait, and asks rarely. */
  spread(job: PlacementJob): void
}

/** Pause of a node that could not load a model. A busy node is asked again soon. */
interface Backoff {
  readonly untilMs: number
  readonly isBusy: boolean
}

interface Load {
  readonly sinceMs: number
  readonly done: Promise<void>
}

export function createModelLoads(deps: ModelLoadsDeps): ModelLoads {
  const { directory, now, log } = deps
  const running = createRunningLoads(deps)
  // A node has room for few models. A tenant that asks for all in turn could keep it loading.
  const perTenant = createRateLimit({
    perMinute: TENANT_MODEL_LOADS,
    keys: HUB_LOADS_REMEMBERED,
    nowMs: now,
    what: 'loads of models for one tenant',
  })
  const spreadAtMs = new BoundedMap<Bytes32, number>(HUB_LOADS_REMEMBERED)

  const views = (digest: Bytes32) =>
    directory.members().map((member) => viewOf(member, running.stateOf(member, digest)))
  /** The load that a job waits for. @throws {AppError} no_capacity, rate_limited */
  const find = (job: PlacementJob): Load | undefined => {
    const placement = place(views(job.digest), job, now())
    if (placement.kind === 'none') return undefined
    if (placement.kind === 'join') return running.get(placement.nodeId, job.digest)
    const member = directory.get(placement.nodeId)
    if (member === undefined) return undefined
    perTenant.take(job.tenant)
    const load = running.begin(member, job.digest)
    // A node that had no room did no work, so the load does not count.
    load.done.catch((error: unknown) => {
      if (isBusy(error)) perTenant.giveBack(job.tenant)
    })
    return load
  }
  /** When an allowed node that is only busy may be asked again; Infinity for never. */
  const busyUntilMs = (job: PlacementJob): number => {
    const resting = directory.members().flatMap((member) => {
      const { untilMs, isBusy } = running.backoffOf(member, job.digest)
      const view = viewOf(member, { loading: new Map(), backoffUntilMs: 0 })
      return isBusy && mayLoad(view, job, now()) ? [untilMs] : []
    })
    return Math.min(Infinity, ...resting)
  }

  return {
    async bring(job, cancellation) {
      const startedMs = now()
      for (;;) {
        const load = find(job)
        if (load === undefined) {
          const restMs = busyUntilMs(job) - now()
          if (now() + restMs - startedMs > MODEL_PATIENCE_MS) return undefined
          await sleep(restMs, cancellation, now() - startedMs)
          continue
        }
        try {
          const isDone = await untilLoaded(load.done, cancellation)
          if (isDone) return now() - startedMs
        } catch {
          if (cancellation.isCancelled) throw tooLong(cancellation.reason, now() - startedMs)
          // The node is backed off now. Another allowed node may do better.
        }
      }
    },
    spread(job) {
      const { digest } = job
      const nowMs = now()
      if (nowMs - (spreadAtMs.get(digest) ?? -Infinity) < MODEL_SPREAD_EVERY_MS) return
      spreadAtMs.set(digest, nowMs)
      if (running.count() >= HUB_MODEL_LOADS) return
      try {
        find(job)
      } catch (error) {
        log.debug('model.not-spread', { digest, code: errorCode(error) })
      }
    },
  }
}

/** Running loads, and the backoff of nodes whose load failed. */
function createRunningLoads({ directory, now, log }: ModelLoadsDeps) {
  const loading = new Map<string, Map<Bytes32, Load>>()
  const backoff = new BoundedMap<string, Backoff>(HUB_LOADS_REMEMBERED)

  const failed = (member: Member, digest: Bytes32, cause: unknown) => {
    const { code, detail } = toAppError(cause)
    log.warn('model.not-placed', { nodeId: member.admission.nodeId, digest, code, detail })
    const hadNoRoom = isBusy(cause)
    const restMs = hadNoRoom ? MODEL_BUSY_BACKOFF_MS : MODEL_LOAD_BACKOFF_MS
    backoff.set(keyOf(member, digest), { untilMs: now() + restMs, isBusy: hadNoRoom })
  }
  const ask = async (member: Member, digest: Bytes32): Promise<void> => {
    const { nodeId } = member.admission
    const startedMs = now()
    const peers = fileAddresses(directory.members(), member, digest)
    try {
      await beforeDeadline(member.link.load({ digest, peers }), {
        timeoutMs: LIMITS.modelFetchMs,
        what: 'Loading the model',
      })
      checkLoaded(member, digest)
      log.info('model.placed', { nodeId, digest, loadMs: now() - startedMs })
    } catch (error) {
      failed(member, digest, error)
      throw error
    } finally {
      const own = loading.get(nodeId)
      own?.delete(digest)
      if (own?.size === 0) loading.delete(nodeId)
    }
  }
  /** Counts only loads that jobs wait for. Nodes that never answer must not block the others. */
  const count = () => {
    const sinceMs = now() - MODEL_PATIENCE_MS
    const isAwaited = (load: Load) => load.sinceMs > sinceMs
    return loading
      .values()
      .reduce((sum, own) => sum + [...own.values()].filter(isAwaited).length, 0)
  }
  const backoffOf = (member: Member, digest: Bytes32): Backoff =>
    backoff.get(keyOf(member, digest)) ?? { untilMs: 0, isBusy: false }

  return {
    count,
    backoffOf,
    get: (nodeId: string, digest: Bytes32) => loading.get(nodeId)?.get(digest),
    stateOf(member: Member, digest: Bytes32): Pick<PlacementView, 'loading' | 'backoffUntilMs'> {
      const own = loading.get(member.admission.nodeId)
      return { loading: sinceOf(own), backoffUntilMs: backoffOf(member, digest).untilMs }
    },
    /** @throws {AppError} no_capacity for more loads than a hub waits for */
    begin(member: Member, digest: Bytes32): Load {
      if (count() >= HUB_MODEL_LOADS)
        throw new AppError(
          'no_capacity',
          'The hub is already waiting for its maximum number of model loads.',
          {
            meta: { retryAfterSeconds: 5 },
          },
        )
      const { nodeId } = member.admission
      const own = loading.get(nodeId) ?? new Map<Bytes32, Load>()
      loading.set(nodeId, own)
      const load = { sinceMs: now(), done: ask(member, digest) }
      own.set(digest, load)
      // Waiting jobs see the failure; there may be none.
      load.done.catch(() => {})
      return load
    },
  }
}

function viewOf(
  member: Member,
  own: Pick<PlacementView, 'loading' | 'backoffUntilMs'>,
): PlacementView {
  const { presence, link, admission } = member
  const rttMs = link.rttMs()
  return {
    nodeId: admission.nodeId,
    facts: factsOf(member),
    warm: new Set(presence.models.map(({ digest }) => digest)),
    loadable: new Set(presence.loadable),
    isSoftware: presence.adapter.isSoftware,
    inFlight: link.inFlight(),
    rttMs: Number.isFinite(rttMs) ? rttMs : 0,
    ...own,
  }
}

/** Addresses of other nodes that serve the model's files. Model files are public: no policy is about them. */
function fileAddresses(members: readonly Member[], self: Member, digest: Bytes32): string[] {
  return members
    .filter((member) => member !== self && member.quarantine === null)
    .filter(({ presence }) => presence.models.some((model) => model.digest === digest))
    .flatMap(({ presence }) => presence.files ?? [])
    .slice(0, LIMITS.loadPeers)
}

function isBusy(error: unknown): boolean {
  const code = errorCode(error)
  return code === 'no_capacity' || code === 'rate_limited'
}

function keyOf({ admission }: Member, digest: Bytes32): string {
  return `${admission.nodeId} ${digest}`
}

function tooLong(reason: unknown, waitedMs: number): AppError {
  if (errorCode(reason) === 'cancelled') return toAppError(reason)
  return new AppError(
    'no_capacity',
    `The model is being loaded and was not ready within ${Math.round(waitedMs)} ms. Loading continues.`,
    { cause: reason, meta: { retryAfterSeconds: 5 } },
  )
}

/** A node proves a load by its signed presence record. Anything else is a failure. */
function checkLoaded({ presence }: Member, digest: Bytes32): void {
  if (presence.models.some((model) => model.digest === digest)) return
  throw new AppError('node_lost', 'The node claims to have loaded a model that it does not have.')
}

function sinceOf(loads: ReadonlyMap<Bytes32, Load> | undefined): Map<Bytes32, number> {
  return new Map([...(loads ?? [])].map(([digest, { sinceMs }]) => [digest, sinceMs]))
}

async function sleep(restMs: number, cancellation: Cancellation, waitedMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, Math.max(0, restMs) + 1)
  try {
    await untilCancelled(promise, cancellation)
  } catch (error) {
    throw tooLong(error, waitedMs)
  } finally {
    clearTimeout(timer)
  }
}

/** @returns true when the model is loaded, false when it is time to try another node */
async function untilLoaded(work: Promise<void>, cancellation: Cancellation): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const timer = setTimeout(() => resolve(false), MODEL_PATIENCE_MS)
  try {
    return await untilCancelled(Promise.race([work.then(() => true), promise]), cancellation)
  } finally {
    clearTimeout(timer)
  }
}
