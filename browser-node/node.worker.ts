/** The page's one dedicated worker: everything of the node runs here, away from the page's thread. */
import './strict-csp.ts'
import { toAppError } from '#shared/errors.ts'
import { createLog } from '#shared/log.ts'
import { Command, type Report } from './protocol.ts'
import { coalesceReports } from './coalesce-reports.ts'
import { createTabNode } from './tab-node.ts'

/** A page cannot draw faster, and a busy node changes far more often. */
const REPORT_EVERY_MS = 100

const log = createLog({ level: 'warn' })
const report = coalesceReports((message: Report) => postMessage(message), REPORT_EVERY_MS)
const node = createTabNode({ origin: self.location.origin, report, log, now: Date.now })

let turn = Promise.resolve()

self.addEventListener('message', (event: MessageEvent<unknown>) => {
  const command = Command.parse(event.data)
  turn = turn.then(() => obey(command))
})

async function obey(command: Command): Promise<void> {
  try {
    if (command.type === 'start') await node.start(command)
    else await node.pause()
  } catch (cause) {
    const { code, detail } = toAppError(cause)
    log.error('node.failed', { code, detail, cause: String(cause) })
    report({ type: 'failed', code, detail })
  }
}
