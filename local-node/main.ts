/** A node as a program: `npm run node -- --hub URL --region DE`. */
import { join } from 'node:path'
import { createNodeCore } from '#node-core/node-core.ts'
import { locateHub } from '#node-core/locate.ts'
import type { NodeState } from '#node-core/node-state.ts'
import { toAppError } from '#shared/errors.ts'
import { createLog } from '#shared/log.ts'
import { parseOptions, USAGE } from './config.ts'
import { createNodeEngine } from './engine-host.ts'
import { loadKeys } from './keys.ts'
import { createReceiptFiles } from './receipt-files.ts'

if (process.argv.includes('--help')) {
  console.log(USAGE)
  process.exit(0)
}
try {
  await main()
} catch (error) {
  console.error(toAppError(error).code === 'internal' ? error : toAppError(error).detail)
  process.exit(1)
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2), process.env)
  const log = createLog({ level: 'info' }, { part: 'node' })
  const { identity, signer } = await loadKeys(options.state)
  const engine = await createNodeEngine({ device: options.device, kernels: 'any', log })
  const core = createNodeCore({
    kind: 'local',
    identity,
    signer,
    engine,
    claim: options.region,
    maxJobs: options['max-jobs'],
    receipts: await createReceiptFiles(join(options.state, 'receipts')),
    locate: (signal) =>
      locateHub(
        {
          origin: options.hub,
          nodeId: core.state().nodeId,
          claim: options.region,
          key: options.key,
          simulatedPlace: options['simulated-place'],
        },
        signal,
      ),
    log,
    now: Date.now,
    onState: reportChanges(log),
  })
  let isStopping = false
  const stop = async () => {
    if (isStopping) return
    isStopping = true
    await core.stop()
    process.exit(0)
  }
  process.on('SIGINT', () => void stop())
  process.on('SIGTERM', () => void stop())
  await core.start()
}

/** One line whenever the phase or the count of jobs changes. */
function reportChanges(log: ReturnType<typeof createLog>): (state: NodeState) => void {
  let last = ''
  return ({ phase, detail, nodeId, claim, adapter, jobsDone, earnedMicroUsd, models }) => {
    const mark = `${phase}/${detail}/${jobsDone}`
    if (mark === last) return
    last = mark
    log.info('node.changed', {
      phase,
      detail,
      nodeId,
      claim,
      adapter: adapter.name,
      models: models.map((model) => `${model.id}@${model.provider}`).join(','),
      jobsDone,
      earnedMicroUsd,
    })
  }
}
