/** Sends a batch's items to nodes within its bounds, sends lost ones again, and records each answer once. */
import { AppError, toAppError, invariant } from '#shared/base/errors.ts'
import { newJobId, type RandomBytes } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import type { DispatchRequest, DispatchResult } from '#worker/protocols/hub.ts'
import { steeringOf } from '#worker/protocols/steering.ts'
import type { BatchDatabase } from '#worker/jobs/store/database.ts'
import {
  type Dispatched,
  type ItemStore,
  type NextItem,
  JOBS_HOPELESS_ITEMS,
} from '#worker/jobs/store/items.ts'
import type { Grant } from '#worker/jobs/authority/judge-authority.ts'
import { judgeFailure } from '#worker/jobs/authority/judge.ts'
import { createPace, type Pace } from './pace.ts'
import { heldBytes, planJob, type PlannedJob } from './plan.ts'
import { type BatchSpec, type Fault, JOBS_OUTPUT_BYTES } from '#worker/protocols/batch.ts'

/** Work of one alarm. Cloudflare ends an alarm after 15 minutes. */
const JOBS_SLICE_MS = 300_000
/** Items of one alarm. */
const JOBS_SLICE_ITEMS = 500
/** Time that a batch waits for an allowed node, when it had one before. */
export const JOBS_UNSATISFIED_MS = 60_000
invariant(JOBS_SLICE_MS < 15 * 60_000, 'A slice ends before Cloudflare ends the alarm.')

export type Dispatch = (
  job: { readonly request: DispatchRequest; readonly payload: Uint8Array },
  signal: AbortSignal,
) => Promise<DispatchResult>

export interface RunnerDeps {
  readonly spec: BatchSpec
  readonly database: BatchDatabase
  readonly items: ItemStore
  readonly dispatch: Dispatch
  /** Without a grant nothing starts. */
  readonly grant: () => Grant | undefined
  readonly nowMs: () => number
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly randomBytes: RandomBytes
  readonly log: Log
  readonly deadlineAtMs: number
  readonly onChange: () => void
}

export type Runner = ReturnType<typeof createRunner>

export function createRunner(deps: RunnerDeps) {
  const { spec, items, nowMs } = deps
  const pace = createPace(spec.concurrency, nowMs)
  const underWay = new Map<number, AbortController>()
  let step = Promise.withResolvers<void>()

  const start = (item: NextItem, grant: Grant): void => {
    const job = planOrFail(deps, item)
    if (job === undefined) return
    const held = heldBytes(job.work)
    const controller = new AbortController()
    underWay.set(item.index, controller)
    pace.started(held)
    void send(deps, pace, { item, job, grant, signal: controller.signal }).finally(() => {
      underWay.delete(item.index)
      pace.ended(held)
      step.resolve()
      step = Promise.withResolvers()
    })
  }
  /** The fault that ends the batch before its deadline, because waiting would not help. */
  const hopeless = (): Fault | undefined => {
    if (items.failedWithoutOneDone() >= JOBS_HOPELESS_ITEMS) return HOPELESS
    const sinceMs = pace.unsatisfiedSinceMs()
    if (sinceMs === undefined) return undefined
    // If a node was allowed before, it may come back soon; otherwise there is nobody to wait for.
    const graceMs = items.hasDone() ? JOBS_UNSATISFIED_MS : 0
    return nowMs() - sinceMs >= graceMs ? (pace.waiting() ?? undefined) : undefined
  }
  const startable = (): NextItem | undefined => {
    if (!pace.isOpen() || nowMs() >= deps.deadlineAtMs || hopeless() !== undefined) return undefined
    const item = items.next(nowMs())
    const work = item?.work ?? spec.template?.work
    return work === undefined || pace.admits(heldBytes(work)) ? item : undefined
  }

  return {
    /** Starts what may start. Resolves once nothing is under way and nothing can start. */
    async run(): Promise<void> {
      const sliceEndsMs = nowMs() + JOBS_SLICE_MS
      let started = 0
      for (;;) {
        while (started < JOBS_SLICE_ITEMS && nowMs() < sliceEndsMs) {
          const grant = deps.grant()
          const item = startable()
          if (item === undefined || grant === undefined) break
          started += 1
          start(item, grant)
        }
        if (underWay.size === 0) return
        await step.promise
      }
    },
    /** When an idle runner may continue; undefined when no item is queued. */
    nextAtMs(): number | undefined {
      const earliestMs = items.earliestMs()
      return earliestMs === undefined ? undefined : Math.max(earliestMs, pace.pausedUntilMs())
    },
    abort(): void {
      for (const controller of underWay.values()) {
        controller.abort(new AppError('cancelled', 'The batch has ended.'))
      }
    },
    waiting: (): Fault | null => pace.waiting(),
    hopeless,
  }
}

/** Work that fails this often without one success is not tried on all items. */
const HOPELESS: Fault = {
  code: 'invalid_request',
  detail: `${JOBS_HOPELESS_ITEMS} items failed and none was done; the rest was not tried.`,
}

function planOrFail(deps: RunnerDeps, item: NextItem): PlannedJob | undefined {
  try {
    return planJob(item, deps)
  } catch (error) {
    const { code, detail } = toAppError(error)
    deps.log.error('item.unplannable', { batch: deps.spec.id, index: item.index, code, detail })
    deps.items.fail(item.index, { code, detail })
    return undefined
  }
}

interface Sending {
  readonly item: NextItem
  readonly job: PlannedJob
  readonly grant: Grant
  readonly signal: AbortSignal
}

/** Never rejects. */
async function send(deps: RunnerDeps, pace: Pace, sent: Sending): Promise<void> {
  const { item, job, grant, signal } = sent
  const startedMs = deps.nowMs()
  const dispatched = deps.items.start(item.index, newJobId(deps.randomBytes))
  try {
    const request = describeJob(deps, { job, grant, dispatched, nowMs: startedMs })
    const result = await deps.dispatch({ request, payload: job.payload }, signal)
    // A cancelled job's answer is not recorded, even if it was already under way.
    if (signal.aborted) return
    pace.answered(deps.nowMs() - startedMs)
    keepAnswer(deps, item, { ...result, mark: dispatched.mark })
  } catch (error) {
    if (!signal.aborted) settleFailure(deps, pace, { item, error: toAppError(error) })
  }
  deps.onChange()
}

function keepAnswer(
  { database, items }: RunnerDeps,
  item: NextItem,
  answer: DispatchResult & Pick<Dispatched, 'mark'>,
): void {
  database.transaction(() => {
    const total = Number(database.setting('output_bytes') ?? 0) + answer.payload.length
    if (total > JOBS_OUTPUT_BYTES) {
      const detail = `The batch's results would be over ${JOBS_OUTPUT_BYTES} bytes.`
      items.fail(item.index, { code: 'too_large', detail })
    } else if (items.record({ ...answer, index: item.index })) {
      database.set('output_bytes', String(total))
    }
  })
}

function settleFailure(
  deps: RunnerDeps,
  pace: Pace,
  { item, error }: { readonly item: NextItem; readonly error: AppError },
): void {
  const { items, nowMs, log, spec } = deps
  const { code } = error
  const { index } = item
  const verdict = judgeFailure(error, {
    failures: item.failures + 1,
    pauses: pace.pauses(),
    random: deps.random,
  })
  log.debug('item.failed', { batch: spec.id, index, code, verdict: verdict.kind })
  if (code === 'internal') {
    log.error('item.failed', { batch: spec.id, index, cause: String(error.cause) })
  }
  if (verdict.kind === 'fail') {
    deps.database.transaction(() => items.fail(index, faultOf(error)))
    return
  }
  const untilMs = nowMs() + verdict.delayMs
  if (verdict.kind === 'pause') {
    const isUnsatisfied = code === 'residency_unsatisfiable' || steeringOf(error).lacksFeatures
    pace.pause(untilMs, faultOf(error), isUnsatisfied)
    items.requeue(index, { nextAtMs: 0, isFailure: false })
  } else {
    pace.lost()
    items.requeue(index, { nextAtMs: untilMs, isFailure: true })
  }
}

function faultOf({ code, detail, meta: { rule, needed } }: AppError): Fault {
  return {
    code,
    detail,
    ...(rule === undefined ? {} : { rule }),
    ...(needed === undefined ? {} : { needed }),
  }
}

function describeJob(
  { spec, deadlineAtMs }: RunnerDeps,
  {
    job,
    grant,
    dispatched,
    nowMs,
  }: Pick<Sending, 'job' | 'grant'> & {
    readonly dispatched: Dispatched
    readonly nowMs: number
  },
): DispatchRequest {
  const leftMs = Math.max(1, deadlineAtMs - nowMs)
  return {
    requestId: spec.requestId,
    jobId: dispatched.jobId,
    firstAttempt: dispatched.firstAttempt,
    tenant: spec.tenant,
    consumer: spec.consumer,
    policy: grant.policy,
    allowed: grant.allowed,
    work: job.work,
    units: job.units,
    priceMicroUsd: spec.priceMicroUsd,
    timeoutMs: Math.min(LIMITS.jobTimeoutMs, leftMs),
    stream: false,
    nodeId: null,
    traceparent: spec.traceparent,
  }
}
