/** Runs the bridge as a program, `littoral mqtt`; SIGINT and SIGTERM end it in order. */
import { toAppError } from '#shared/base/errors.ts'
import { createLog } from '#shared/base/log.ts'
import { startBridge } from './bridge.ts'
import { parseOptions } from './config.ts'
import { openJournal } from './journal.ts'

const MAX_WAITING = 100_000

try {
  const options = parseOptions(process.argv.slice(2), process.env)
  const log = createLog({}, { part: 'mqtt' })
  const journal = openJournal({ path: options.state, maxWaiting: MAX_WAITING })
  const bridge = await startBridge({ ...options, journal, log })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      void bridge.close().finally(() => {
        journal.close()
        process.exit(0)
      })
    })
  }
} catch (error) {
  const { code, detail } = toAppError(error)
  process.stderr.write(`${detail}\n`)
  process.exitCode = code === 'invalid_request' ? 2 : 1
}
