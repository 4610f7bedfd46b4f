/** The page's side of the node worker: at most one worker, ended when it fails or stops responding. */
import type { NewsReport } from './ui/page-state.ts'
import { BEAT_MS, Report, type Command } from './node/protocol.ts'

/** Consecutive beats that a worker may miss. It computes nothing itself, so a worker that misses more hangs. */
const MISSED_BEATS = 4

export interface NodeLinkOptions {
  readonly onReport: (report: NewsReport) => void
  /** Called after a worker that hung was ended. */
  readonly onSilent: () => void
}

export function createNodeLink({ onReport, onSilent }: NodeLinkOptions) {
  let worker: Worker | undefined
  let missed = 0
  let timer: ReturnType<typeof setInterval> | undefined

  const end = () => {
    clearInterval(timer)
    timer = undefined
    worker?.terminate()
    worker = undefined
  }
  const fail = (detail: string) => {
    end()
    onReport({ type: 'failed', code: 'internal', detail })
  }
  /** Beats are counted, not timed: a computer that slept has missed only one. */
  const watch = () => {
    missed += 1
    if (missed <= MISSED_BEATS) return
    end()
    onSilent()
  }
  const hear = (data: unknown) => {
    const report = Report.safeParse(data)
    if (!report.success) return fail('The node sent a message that this page does not understand.')
    missed = 0
    // Until its first message the worker is still loading.
    timer ??= setInterval(watch, BEAT_MS)
    if (report.data.type === 'beat') return worker?.postMessage({ type: 'beat' } satisfies Command)
    if (report.data.type === 'failed') end()
    onReport(report.data)
  }
  const open = () => {
    const opened = new Worker(new URL('./node/node.worker.ts', import.meta.url), {
      type: 'module',
      name: 'littoral-node',
    })
    opened.addEventListener('message', ({ data }: MessageEvent<unknown>) => {
      if (worker === opened) hear(data)
    })
    opened.addEventListener('error', (event) => {
      if (worker === opened)
        fail(`The node’s worker ended: ${event.message || 'it could not be loaded'}.`)
    })
    return opened
  }
  return {
    /** Starts a worker if none runs. */
    send(command: Command) {
      worker ??= open()
      worker.postMessage(command)
    },
    /** Ends the worker at once. */
    end,
  }
}
