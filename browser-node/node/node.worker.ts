/** The page's one dedicated worker: everything of the node runs here or in workers of its own, away from the page's thread. */
import '../engine/strict-csp.ts'
import { toAppError } from '#shared/base/errors.ts'
import { createLog } from '#shared/base/log.ts'
import { BEAT_MS, Command, type Report } from './protocol.ts'
import { coalesceReports } from './coalesce-reports.ts'
import { createTabNode } from './tab-node.ts'

/** A page cannot draw faster, and a busy node changes far more often. */
const REPORT_EVERY_MS = 100
/** Beats in a row that the page may leave unanswered: its owner can then neither see nor stop what runs here. */
const UNANSWERED_BEATS = 15

const log = createLog({ level: 'warn' })
const report = coalesceReports((message: Report) => postMessage(message), REPORT_EVERY_MS)
const node = createTabNode({ origin: self.location.origin, report, log, now: Date.now })

let turn = Promise.resolve()
let unanswered = 0
/** What the owner wants while the page is not heard. */
let suspended: Command | undefined
let wanted: Command | undefined

self.addEventListener('message', (event: MessageEvent<unknown>) => {
  const command = Command.parse(event.data)
  unanswered = 0
  if (command.type !== 'beat') {
    wanted = command
    suspended = undefined
    turn = turn.then(() => obey(command))
  } else if (suspended !== undefined) {
    const again = suspended
    suspended = undefined
    turn = turn.then(() => obey(again))
  }
})

setInterval(() => {
  postMessage({ type: 'beat' } satisfies Report)
  unanswered += 1
  if (unanswered <= UNANSWERED_BEATS || suspended !== undefined || wanted?.type !== 'start') return
  log.warn('page.silent', { beats: unanswered })
  suspended = wanted
  turn = turn.then(() => obey({ type: 'pause' }))
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
