/** Steps the poster and reports what keeps it from posting. After each fault of the endpoint it waits twice as long. */
import { toAppError } from '#shared/base/errors.ts'
import type { Outlook } from '#worker/ledger/chain/chain.ts'
import { faultOf, type Fault } from '#worker/protocols/ledger-fault.ts'
import { watchOutlook } from './outlook.ts'
import { stepPoster, type PosterDeps, type Step } from './poster.ts'

const LONGEST_PAUSE_MS = 60_000

export interface TickerDeps extends PosterDeps {
  readonly wake: (delayMs: number) => void
}

export type Ticker = ReturnType<typeof createTicker>

export function createTicker(deps: TickerDeps) {
  const { log } = deps
  const outlook = watchOutlook(deps.chain, deps.nowMs)
  let isRunning = false
  let failures = 0
  /** The fault of the last step. */
  let own: Fault | null = null
  let told: Fault | null = null
  /** A fault seen on the chain explains more than the step's fault that follows from it. */
  const judge = ({ fault: seen }: Outlook): Fault | null => {
    const fault = seen ?? own
    if (fault !== null && fault.code !== told?.code) log.error('settlement.failed', { ...fault })
    if (fault === null && told !== null) log.info('settlement.restored', { after: told.code })
    told = fault
    return fault
  }
  const step = async (): Promise<Step> => {
    try {
      const done = await stepPoster(deps)
      failures = 0
      return done
    } catch (error) {
      failures += 1
      const { code, detail } = toAppError(error)
      log.warn('ledger.failed', { code, detail, failures, cause: String(error) })
      const againMs = Math.min(deps.batchMs * 2 ** Math.min(failures - 1, 6), LONGEST_PAUSE_MS)
      return { againMs, fault: faultOf(error) }
    }
  }
  return {
    outlook: () => outlook.recent(),
    fault: async (maxAgeMs?: number) => judge(await outlook.recent(maxAgeMs)),
    async run() {
      if (isRunning) return
      isRunning = true
      try {
        const done = await step()
        own = done.fault
        if (done.againMs !== null) deps.wake(done.againMs)
        // The chain is asked only when something is or was wrong.
        if (own !== null || told !== null)
          judge(await (own?.code === told?.code ? outlook.recent() : outlook.now()))
      } finally {
        isRunning = false
      }
    },
  }
}
