/** Runs submitted WGSL on a device: one kernel at a time, metered, part by part, in the host's own buffers. */
import { BoundedMap } from '#shared/base/bounded-map.ts'
import { AppError } from '#shared/base/errors.ts'
import type { KernelWork } from '#shared/job/job.ts'
import { BUDGET_RULE } from '#shared/kernels/rules.ts'
import { calibrate, type CalibrateOptions } from './calibrate.ts'
import { checkInterface } from './check-interface.ts'
import { checkKernel } from './check-kernel.ts'
import { cancelled } from '#shared/base/deadline.ts'
import { createPieces, type Pieces } from '#engine/pace/pieces.ts'
import { compileKernel } from './compile-kernel.ts'
import { starvedFrom, type DeviceWatch } from './device-watch.ts'
import { dispatchKernel, type KernelOutput } from './dispatch-kernel.ts'
import { createGrants } from './grants.ts'
import { inspectKernel, type KernelReport } from './rewrite/inspect-kernel.ts'
import { asWritten, meterKernel, type Grant, type MeteredKernel } from './rewrite/meter-kernel.ts'
import { checkWays } from './rewrite/count-ways.ts'
import { tooMuch } from './parse/refuse.ts'
import { splitKernel } from './rewrite/split-kernel.ts'
import { createKeptBuffers, type KeptBuffers } from './kept-buffers.ts'

export interface KernelTimes {
  readonly kernelCompileMs: number
  readonly kernelRunMs: number
}

export interface KernelRunOptions {
  /** `metered`: a stranger's kernel, every loop has a budget. `own`: one of ours, without budgets. @default metered */
  readonly trust?: 'metered' | 'own'
  /** Checked before each part of the dispatch. */
  readonly signal: AbortSignal
}

export type KernelRunner = ReturnType<typeof createKernelRunner>

export interface KernelRunnerOptions extends CalibrateOptions {
  readonly times: KernelTimes
  /** Fixed budget. @default measured, and again as conditions change */
  readonly grant?: Grant | undefined
  readonly watch: DeviceWatch
}

export function createKernelRunner(options: KernelRunnerOptions) {
  const { device, times, watch, now, processor } = options
  const sessions = createKeptBuffers()
  const grants = createGrants(() => grantOf(options), now)
  const paces = new BoundedMap<string, Pieces>(PACES_KEPT)
  const runMetered = async (
    kernel: MeteredKernel,
    { work, payload, report, signal }: KernelJob,
  ) => {
    const text = { ...kernel, ...splitKernel(report, kernel) }
    const compiled = await watch.within(compileKernel(device, work, text), {
      timeoutMs: times.kernelCompileMs,
      what: "The kernel's compilation",
    })
    const check = () => {
      if (signal.aborted) throw cancelled()
      if (watch.lost !== undefined) throw new AppError('node_lost', watch.lost)
    }
    const made: GPUBuffer[] = []
    const kept = takeKept(sessions, work)
    let isOver = false
    try {
      const step = dispatchKernel(device, compiled, {
        work,
        payload,
        workgroupSize: report.workgroupSize,
        made,
        kept,
        pieces: piecesOf(paces, work, now),
        now,
        check,
      })
      const { outputs, spent } = await watch.within(step, {
        timeoutMs: times.kernelRunMs,
        what: 'The kernel',
        isStarved: starvedFrom(processor, times.kernelRunMs),
      })
      if (spent !== 0) throw overBudget(kernel, spent)
      isOver = true
      if (work.session !== undefined) sessions.keep(work.session, kept)
      return outputs
    } finally {
      // A failed step leaves its session's buffers half written.
      const spoilt = isOver ? made : [...made, ...kept.values()]
      if (watch.lost === undefined) for (const buffer of spoilt) buffer.destroy()
    }
  }
  return {
    /**
     * Settles when the device has finished the job, so that the next one finds it idle.
     * @throws {AppError} too_large, invalid_request with the compiler's line, no_capacity over this device's grant,
     * node_timeout, node_lost, cancelled
     */
    async run(
      given: KernelWork,
      payload: Uint8Array,
      { trust = 'metered', signal }: KernelRunOptions,
    ): Promise<KernelOutput[]> {
      checkKernel(given, payload)
      const report = inspectKernel(given.wgsl, given.entryPoint)
      const work = trust === 'metered' ? checkInterface(report, given) : given
      checkKernel(work, payload)
      if (watch.lost !== undefined) throw new AppError('node_lost', watch.lost)
      const job = { work, payload, report, signal }
      if (trust === 'own') return runMetered(asWritten(report.source), job)
      if (options.isSoftware) checkWays(report)
      const grant = await grants.current()
      try {
        return await runMetered(meterFor(report, grant, work), job)
      } catch (error) {
        if (!isOverBudget(error)) throw error
        const larger = await grants.larger(grant)
        if (larger === undefined || !isRepeatable(work)) throw error
        return await runMetered(meterFor(report, larger, work), job)
      }
    },
    /** Destroys the device unless it hangs: destroying a hung device would crash the GPU process. */
    close() {
      if (watch.lost !== undefined) return
      watch.end('The engine was closed.')
      sessions.clear()
      device.destroy()
    },
  }
}

function grantOf(options: KernelRunnerOptions): Promise<Grant> {
  if (options.grant !== undefined) return Promise.resolve(options.grant)
  const timeoutMs = options.times.kernelCompileMs
  return options.watch.within(calibrate(options), { timeoutMs, what: 'Measuring the device' })
}

interface KernelJob {
  readonly work: KernelWork
  readonly payload: Uint8Array
  readonly report: KernelReport
  readonly signal: AbortSignal
}

/** Workgroups in the first part of an unknown kernel, and how much larger each next part may be. */
const FIRST_WORKGROUPS = 8
const GROWTH = 16
/** Kernels whose speed is remembered, so that the next step of a session need not learn it. */
const PACES_KEPT = 64

function piecesOf(
  paces: Map<string, Pieces>,
  { wgsl, entryPoint }: KernelWork,
  now: () => number,
): Pieces {
  const key = `${entryPoint} ${wgsl}`
  const pieces =
    paces.get(key) ?? createPieces({ first: FIRST_WORKGROUPS, most: Infinity, growth: GROWTH, now })
  paces.set(key, pieces)
  return pieces
}

function meterFor(report: KernelReport, grant: Grant, { workgroups }: KernelWork): MeteredKernel {
  const groups = workgroups.reduce((product, size) => product * size, 1)
  return meterKernel(report, grant, groups * report.invocations)
}

/** A step that took its session's buffers has overwritten them. */
function isRepeatable({ session, buffers }: KernelWork): boolean {
  return session === undefined || buffers.every(({ keep, filled }) => keep !== true || filled)
}

function isOverBudget(error: unknown): boolean {
  return error instanceof AppError && error.meta.rule === BUDGET_RULE
}

/** Takes the buffers that the previous step left; none where this step brings every buffer. */
function takeKept(sessions: KeptBuffers, { session, buffers }: KernelWork): Map<number, GPUBuffer> {
  if (session === undefined) return new Map()
  if (buffers.some(({ keep, filled }) => keep === true && !filled))
    return new Map(sessions.take(session))
  sessions.drop(session)
  return new Map()
}

function overBudget({ loopLines, allowed }: MeteredKernel, spent: number): AppError {
  const loop = `line ${loopLines[spent - 1] ?? 0}: this loop, or those before it`
  return tooMuch(`${loop}, did more than ${allowed}`)
}
