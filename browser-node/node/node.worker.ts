/** The page's only dedicated worker: the node runs here and in workers of its own, off the page's thread. */
import '#shared/base/strict-csp.ts'
import { toAppError } from '#shared/base/errors.ts'
import { createLog } from '#shared/base/log.ts'
import { BEAT_MS, Command, type Report } from './protocol.ts'
import { coalesceReports } from './coalesce-reports.ts'
import { heedPage } from './heed-page.ts'
import { createTabNode } from './tab-node.ts'

/** A busy node changes far more often than the page needs to be redrawn. */
const REPORT_EVERY_MS = 100
const log = createLog({ level: 'warn' })
const report = coalesceReports((message: Report) => postMessage(message), REPORT_EVERY_MS)
const node = createTabNode({ origin: self.location.origin, report, log, now: Date.now })

const page = heedPage({ obey, onSilent: (beats) => log.warn('page.silent', { beats }) })

self.addEventListener('message', ({ data }: MessageEvent<unknown>) =>
  page.hear(Command.parse(data)),
)

setInterval(() => {
  postMessage({ type: 'beat' } satisfies Report)
  page.beat()
}, BEAT_MS)

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
