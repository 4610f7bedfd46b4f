/** Tells the owner on the terminal what the node does: a change of its phase at once, its jobs once a minute. */
import type { NodeState } from '#node-core/node-state.ts'
import type { Log } from '#shared/base/log.ts'

/** How often the jobs are summed up. */
export const SUMMARY_EVERY_MS = 60_000

export type StateReport = ReturnType<typeof createStateReport>

export function createStateReport(log: Pick<Log, 'info'>) {
  let latest: NodeState | undefined
  let mark = ''
  let [jobsTold, failuresTold] = [0, 0]
  return {
    onState: (state: NodeState) => {
      latest = state
      const { phase, detail, nodeId, claim, adapter, models } = state
      const next = `${phase}/${detail}`
      if (next === mark) return
      mark = next
      log.info('node.changed', {
        phase,
        detail,
        nodeId,
        claim,
        adapter: adapter.name,
        models: models.map((model) => `${model.id}@${model.provider}`).join(','),
      })
    },
    /** Writes what was done since the last summary, or nothing. */
    summarize: () => {
      if (latest === undefined) return
      const { jobsDone, jobsFailed, earnedMicroUsd, running, unacknowledged } = latest
      const [done, failed] = [jobsDone - jobsTold, jobsFailed - failuresTold]
      if (done === 0 && failed === 0) return
      jobsTold = jobsDone
      failuresTold = jobsFailed
      log.info('node.worked', { done, failed, jobsDone, earnedMicroUsd, running, unacknowledged })
    },
  }
}
