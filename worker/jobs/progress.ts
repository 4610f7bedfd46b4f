/** Drives a batch: its items, then the reduction, then its end; and plans the next alarm. */
import { toAppError } from '#shared/base/errors.ts'
import { createAuthority, type Authority } from '#worker/jobs/authority/authority.ts'
import type { BatchDatabase } from '#worker/jobs/store/database.ts'
import type { BatchDeps } from './deps.ts'
import { REDUCE_INDEX, type ItemStore } from '#worker/jobs/store/items.ts'
import type { Lifetime } from './lifetime.ts'
import { eachOutput } from '#worker/jobs/run/plan.ts'
import type {
  BatchSpec,
  BatchState,
  BatchStatus,
  Fault,
  ReducePlan,
} from '#worker/protocols/batch.ts'
import { createReducer } from '#worker/jobs/run/reduce.ts'
import { createRunner, type Runner } from '#worker/jobs/run/runner.ts'
import { AUTH_CACHE_MS } from '#worker/protocols/tenant.ts'

/** A lost batch object is resumed after this time at the latest. */
export const JOBS_WATCHDOG_MS = 5_000

export interface ProgressParts {
  readonly deps: BatchDeps
  readonly database: BatchDatabase
  readonly items: ItemStore
  readonly lifetime: Lifetime
  readonly onChange: () => void
}

interface Opened {
  readonly spec: BatchSpec
  readonly authority: Authority
  readonly runner: Runner
  readonly deadlineAtMs: number
}

export type Progress = ReturnType<typeof createProgress>

export function createProgress(parts: ProgressParts) {
  const { deps, database, items, lifetime, onChange } = parts
  const { nowMs, wake } = deps
  let opened: Opened | undefined

  const open = (): Opened => {
    const spec = lifetime.spec()
    return (opened ??= openRun(parts, spec))
  }

  const finish = (state: BatchState, error?: Fault): void => {
    const { spec, runner } = open()
    database.transaction(() => {
      if (error !== undefined) items.endOpen(state === 'cancelled' ? 'cancelled' : 'failed', error)
      lifetime.finish(state)
      database.blobs.removeInputs()
    })
    runner.abort()
    deps.log.info('batch.ended', { batch: spec.id, state })
    onChange()
  }

  const endingFault = (): Fault | undefined => {
    const { spec, runner, deadlineAtMs } = open()
    const hopeless = runner.hopeless()
    if (hopeless !== undefined) return hopeless
    if (nowMs() < deadlineAtMs) return undefined
    const last = runner.waiting()
    const why = last === null ? '' : ` Until then: ${last.detail}`
    const detail = `The batch's deadline of ${spec.deadlineMs} ms has passed.${why}`
    return { ...(last ?? { code: 'node_timeout' }), detail }
  }

  /** Runs until the batch has ended, must wait, or has used up its slice. */
  const advance = async (): Promise<void> => {
    while (lifetime.isOpen()) {
      const fault = endingFault() ?? (await open().authority.check())
      // The batch may have been cancelled during the call.
      if (!lifetime.isOpen()) return
      if (fault !== undefined) finish('failed', fault)
      else if (!items.isAnyOpen()) conclude(parts, { spec: open().spec, finish })
      else {
        await runWatched(open(), { deps, lifetime, finish })
        if (lifetime.isOpen() && items.isAnyOpen() && endingFault() === undefined) return
      }
    }
  }

  const planNext = (): void => {
    if (!database.exists()) return wake(null)
    if (!lifetime.isOpen()) return wake(lifetime.nextAtMs())
    const { authority, runner, deadlineAtMs } = open()
    const heardMs = authority.grant() === undefined ? nowMs() + JOBS_WATCHDOG_MS : nowMs()
    wake(Math.max(heardMs, Math.min(runner.nextAtMs() ?? nowMs(), deadlineAtMs)))
  }

  return {
    /** @throws {AppError} not_found when there is no batch */
    spec: (): BatchSpec => open().spec,
    waiting: (): Fault | null => open().runner.waiting(),
    finish,
    planNext,
    /** Does what is due, and asks for an alarm for the rest. It never rejects. */
    async drive(status: () => BatchStatus): Promise<void> {
      if (!database.exists()) return wake(null)
      wake(nowMs() + JOBS_WATCHDOG_MS)
      try {
        await advance()
        await lifetime.afterwards(status)
        planNext()
      } catch (error) {
        deps.log.error('batch.stuck', { cause: String(toAppError(error).cause ?? error) })
        wake(nowMs() + JOBS_WATCHDOG_MS)
      }
      onChange()
    },
  }
}

function openRun({ deps, database, items, lifetime, onChange }: ProgressParts, spec: BatchSpec) {
  const { nowMs, log, dispatch, random, randomBytes } = deps
  const deadlineAtMs = lifetime.createdAtMs() + spec.deadlineMs
  // Items under way belonged to an earlier object: their answers cannot arrive any more.
  items.requeueLost()
  const authority = createAuthority({ spec, database, authority: deps.authority, nowMs, log })
  const grant = () => authority.grant()
  const runner = createRunner({
    spec,
    database,
    items,
    dispatch,
    grant,
    deadlineAtMs,
    onChange,
    nowMs,
    random,
    randomBytes,
    log,
  })
  return { spec, authority, runner, deadlineAtMs }
}

interface Watching {
  readonly deps: Pick<BatchDeps, 'pause'>
  readonly lifetime: Pick<Lifetime, 'isOpen'>
  readonly finish: Progress['finish']
}

/** Runs what can run. Meanwhile the tenant is asked, and its answer may end the batch. */
async function runWatched({ runner, authority }: Opened, parts: Watching): Promise<void> {
  const over = new AbortController()
  const watching = watch(authority, parts, over.signal)
  // It is awaited below; until then a rejection must not count as unhandled.
  watching.catch(() => {})
  try {
    await runner.run()
  } finally {
    over.abort()
    await watching
  }
}

async function watch(
  authority: Authority,
  { deps, lifetime, finish }: Watching,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    await deps.pause(AUTH_CACHE_MS, signal)
    if (signal.aborted) return
    const fault = await authority.check()
    if (fault === undefined) continue
    if (lifetime.isOpen()) finish('failed', fault)
    return
  }
}

/** After the last item: reduces the outputs, or ends the batch. */
function conclude(
  parts: ProgressParts,
  { spec, finish }: { readonly spec: BatchSpec; readonly finish: Progress['finish'] },
): void {
  const { items, lifetime, database } = parts
  const { reduce } = spec
  if (items.hasFailed()) return finish('failed')
  if (reduce === null) return finish('done')
  if (reduce.kind === 'named') {
    const fault = reduceHere(parts, reduce, spec.items)
    if (fault !== undefined) lifetime.keepFault(fault)
    return finish(fault === undefined ? 'done' : 'failed')
  }
  const answer = items.result(REDUCE_INDEX)
  if (answer !== undefined) {
    lifetime.keepReduced(answer.outputs, answer.item.receipt)
    return finish('done')
  }
  database.transaction(() => {
    lifetime.setState('reducing')
    items.insertReduction(reduce.template.units)
  })
  parts.onChange()
}

function reduceHere(
  { items, lifetime, database }: ProgressParts,
  reduce: Extract<ReducePlan, { kind: 'named' }>,
  count: number,
): Fault | undefined {
  try {
    const reducer = createReducer(reduce.op, reduce.datatype)
    for (const output of eachOutput(items, count, reduce.output)) reducer.add(output)
    const { header, bytes } = reducer.finish()
    database.transaction(() => {
      lifetime.keepReduced([header], null)
      database.blobs.put('reduced', bytes)
    })
    return undefined
  } catch (error) {
    const { code, detail } = toAppError(error)
    return { code, detail }
  }
}
