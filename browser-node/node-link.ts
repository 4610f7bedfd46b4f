/** The page's end of its node worker: one worker at most, ended when it failed or fell silent. */
import type { NewsReport } from './ui/page-state.ts'
import { BEAT_MS, Report, type Command } from './node/protocol.ts'

/** Beats in a row that a worker may miss: it computes nothing itself, so one that is silent this long hangs. */
const MISSED_BEATS = 4

export interface NodeLinkOptions {
  readonly onReport: (report: NewsReport) => void
  /** The worker hung and was ended. */
  readonly onSilent: () => void
}

export interface NodeLink {
  /** Starts a worker if none runs. */
  send(command: Command): void
  /** Ends the worker at once, whatever it does. */
  end(): void
}

export function createNodeLink({ onReport, onSilent }: NodeLinkOptions): NodeLink {
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
  /** Counted, not timed: a computer that slept has missed one beat. */
  const watch = () => {
    missed += 1
    if (missed <= MISSED_BEATS) return
    end()
    onSilent()
  }
  const hear = (data: unknown) => {
    const report = Report.safeParse(data)
    if (!report.success)
      return fail('The node’s program said something that the page does not know.')
    missed = 0
    // From its first word on: until then it is being loaded.
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
        fail(`The node’s program ended: ${event.message || 'it could not be loaded'}.`)
    })
    return opened
  }
  return {
    send(command) {
      worker ??= open()
      worker.postMessage(command)
    },
    end,
  }
}
