/** The page's end of its node worker: one worker at most, ended when it failed. */
import { Report, type Command } from './protocol.ts'

export interface NodeLink {
  /** Starts a worker if none runs. */
  send(command: Command): void
  /** Ends the worker at once, whatever it does. */
  end(): void
}

export function createNodeLink(onReport: (report: Report) => void): NodeLink {
  let worker: Worker | undefined

  const end = () => {
    worker?.terminate()
    worker = undefined
  }
  const fail = (detail: string) => {
    end()
    onReport({ type: 'failed', code: 'internal', detail })
  }
  const open = () => {
    const opened = new Worker(new URL('./node.worker.ts', import.meta.url), {
      type: 'module',
      name: 'littoral-node',
    })
    opened.addEventListener('message', ({ data }: MessageEvent<unknown>) => {
      if (worker !== opened) return
      const report = Report.safeParse(data)
      if (!report.success)
        return fail('The node’s program said something that the page does not know.')
      if (report.data.type === 'failed') end()
      onReport(report.data)
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
