/** Drives a batch's items to nodes: within its bounds, again elsewhere when one is lost, each answer recorded once. */
import { AppError, toAppError } from '#shared/errors.ts'
import { newJobId, type RandomBytes } from '#shared/ids.ts'
import { LIMITS } from '#shared/limits.ts'
import type { Log } from '#shared/log.ts'
import type { DispatchRequest, DispatchResult } from '../hub/protocol.ts'
import type { BatchDatabase } from './database.ts'
import type { ItemStore, NextItem } from './items.ts'
import { createWindow, judgeFailure } from './judge.ts'
import { heldBytes, planJob, type PlannedJob } from './plan.ts'
import type { BatchSpec, Fault } from './protocol.ts'

export type Dispatch = (
  job: { readonly request: DispatchRequest; readonly payload: Uint8Array },
  signal: AbortSignal,
) => Promise<DispatchResult>

export interface RunnerDeps {
  readonly spec: BatchSpec
  readonly database: BatchDatabase
  readonly items: ItemStore
  readonly dispatch: Dispatch
  readonly nowMs: () => number
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly randomBytes: RandomBytes
  readonly log: Log
  readonly deadlineAtMs: number
  /** Called after each change that a listener may want to hear of. */
  readonly onChange: () => void
}

export interface Runner {
  /** Starts what may start now, and resolves once nothing is under way and nothing can start. */
  run(): Promise<void>
  /** When there may be something to do again, seen from an idle runner; undefined when no item is queued. */
  nextAtMs(): number | undefined
  /** Takes every job that is under way off its node. */
  abort(): void
  /** Why nothing is being dispatched just now. */
  waiting(): Fault | null
}

export function createRunner(deps: RunnerDeps): Runner {
  const { spec, items, nowMs } = deps
  const window = createWindow(spec.concurrency)
  const underWay = new Map<number, AbortController>()
  let heldNow = 0
  let pausedUntilMs = 0
  let pauses = 0
  let waiting: Fault | null = null
  let step = Promise.withResolvers<void>()

  const start = (item: NextItem): void => {
    let job: PlannedJob
    try {
      job = planJob(item, deps)
    } catch (error) {
      const { code, detail } = toAppError(error)
      deps.log.error('item.unplannable', { batch: spec.id, index: item.index, code, detail })
      items.fail(item.index, { code, detail })
      return
    }
    const held = heldBytes(job.work)
    const controller = new AbortController()
    underWay.set(item.index, controller)
    heldNow += held
    void send(item, job, controller.signal).finally(() => {
      underWay.delete(item.index)
      heldNow -= held
      step.resolve()
      step = Promise.withResolvers()
    })
  }

  /** Never rejects. */
  const send = async (item: NextItem, job: PlannedJob, signal: AbortSignal): Promise<void> => {
    const jobId = newJobId(deps.randomBytes)
    const startedMs = nowMs()
    items.start(item.index, jobId)
    try {
      const request = describeJob(deps, job, { jobId, nowMs: startedMs })
      const result = await deps.dispatch({ request, payload: job.payload }, signal)
      if (signal.aborted) return
      pauses = 0
      waiting = null
      window.answered(nowMs() - startedMs)
      keep(item, { ...result, jobId })
    } catch (error) {
      if (!signal.aborted) settleFailure(item, toAppError(error))
    }
    deps.onChange()
  }

  const keep = (item: NextItem, result: DispatchResult & { readonly jobId: string }): void => {
    const { database } = deps
    database.transaction(() => {
      const total = Number(database.setting('output_bytes') ?? 0) + result.payload.length
      if (total > LIMITS.jobsOutputBytes) {
        const detail = `The batch's results would be over ${LIMITS.jobsOutputBytes} bytes.`
        items.fail(item.index, { code: 'too_large', detail })
        return
      }
      if (!items.record({ ...result, index: item.index })) return
      database.set('output_bytes', String(total))
    })
  }

  const settleFailure = (item: NextItem, error: AppError): void => {
    const verdict = judgeFailure(error, {
      failures: item.failures + 1,
      pauses,
      random: deps.random,
    })
    const { code, detail } = error
    if (verdict.kind !== 'pause' && code !== 'invalid_request') window.failed()
    deps.log.debug('item.failed', { batch: spec.id, index: item.index, code, then: verdict.kind })
    if (code === 'internal') {
      deps.log.error('item.failed', { batch: spec.id, cause: String(error.cause) })
    }
    if (verdict.kind === 'fail') {
      deps.database.transaction(() => items.fail(item.index, { code, detail }))
      return
    }
    const untilMs = nowMs() + verdict.delayMs
    if (verdict.kind === 'pause') {
      // Items that were refused together are one pause, not many.
      if (nowMs() >= pausedUntilMs) pauses += 1
      pausedUntilMs = Math.max(pausedUntilMs, untilMs)
      waiting = { code, detail }
    }
    const isFailure = verdict.kind === 'retry'
    items.requeue(item.index, { nextAtMs: isFailure ? untilMs : 0, isFailure })
  }

  const fits = (item: NextItem): boolean => {
    if (underWay.size === 0) return true
    const { template } = spec
    const work = item.work ?? template?.work
    return work === undefined || heldNow + heldBytes(work) <= LIMITS.jobsInFlightBytes
  }

  /** After a pause one item goes first: a network that still has no place is asked once, not by all. */
  const places = () => (pauses > 0 ? 1 : window.size()) - underWay.size

  const startable = (): NextItem | undefined => {
    if (places() <= 0 || nowMs() < pausedUntilMs || nowMs() >= deps.deadlineAtMs) return undefined
    const item = items.next(nowMs())
    return item !== undefined && fits(item) ? item : undefined
  }

  return {
    async run() {
      const sliceEndsMs = nowMs() + LIMITS.jobsSliceMs
      let started = 0
      for (;;) {
        for (;;) {
          if (started >= LIMITS.jobsSliceItems || nowMs() >= sliceEndsMs || isHopeless(items)) break
          const item = startable()
          if (item === undefined) break
          started += 1
          start(item)
        }
        if (underWay.size === 0) return
        await step.promise
      }
    },
    nextAtMs() {
      const earliestMs = items.earliestMs()
      return earliestMs === undefined ? undefined : Math.max(earliestMs, pausedUntilMs)
    },
    abort() {
      for (const controller of underWay.values()) {
        controller.abort(new AppError('cancelled', 'The batch has ended.'))
      }
    },
    waiting: () => waiting,
  }
}

/** What cannot be run will not run ten thousand times. */
export function isHopeless(items: ItemStore): boolean {
  return items.failedWithoutOneDone() >= LIMITS.jobsHopelessItems
}

function describeJob(
  { spec, deadlineAtMs }: RunnerDeps,
  job: PlannedJob,
  at: { readonly jobId: DispatchRequest['jobId']; readonly nowMs: number },
): DispatchRequest {
  const leftMs = Math.max(1, deadlineAtMs - at.nowMs)
  return {
    requestId: spec.requestId,
    jobId: at.jobId,
    tenant: spec.tenant,
    consumer: spec.consumer,
    policy: spec.policy,
    allowed: spec.allowed,
    work: job.work,
    units: job.units,
    priceMicroUsd: spec.priceMicroUsd,
    timeoutMs: Math.min(LIMITS.jobTimeoutMs, leftMs),
    stream: false,
    nodeId: null,
    traceparent: spec.traceparent,
  }
}
