/** The whole system for the benches that need it: started by the first one, shared, ended once. */
import { join } from 'node:path'
import { z } from 'zod'
import type { Log } from '#shared/base/log.ts'
import { buildWorker } from '#scripts/build/build.ts'
import { callApi } from '#scripts/stack/operator.ts'
import { startStack, type Stack } from '#scripts/stack/stack.ts'

export interface Running {
  readonly url: string
  readonly workerdPid: number
  readonly nodePid: number
  /** A tenant's key for {@link POLICY}, the tenant's default. */
  readonly apiKey: string
}

export interface LiveStack {
  running(): Promise<Running>
  /** Names of the adapters of its nodes; empty when it was never started. */
  adapters(): readonly string[]
  close(): Promise<void>
}

export interface LiveStackOptions {
  readonly dir: string
  readonly log: Log
  readonly say: (text: string) => void
  /** Readable names and V8's inspector at this address, for a profile. @default a build as it is deployed */
  readonly inspector?: string
}

/** An IoT backend's policy: personal data, computed in the EU by nodes that the operator knows. */
const POLICY = {
  id: 'bench-eu',
  compute: { allow: ['EU'] },
  minEvidence: 'observed',
  dataClass: 'personal',
  nodeTrust: 'verified',
}

export function createLiveStack(options: LiveStackOptions): LiveStack {
  let starting: Promise<{ stack: Stack; running: Running; adapters: string[] }> | undefined
  let adapters: string[] = []
  return {
    async running() {
      const started = await (starting ??= start(options))
      adapters = started.adapters
      return started.running
    },
    adapters: () => adapters,
    async close() {
      // A failed start has closed what it began.
      const started = await starting?.catch(() => undefined)
      await started?.stack.close()
    },
  }
}

async function start({ dir, log, say, inspector }: LiveStackOptions) {
  say('Build: Worker')
  const bundleDir = join(dir, 'bundle')
  // Plain workerd has no edge that sees where a node is; this build is told, and is otherwise the same.
  await buildWorker({
    simulatedPlaces: true,
    outDir: bundleDir,
    minify: inspector === undefined,
  })
  const stack = await startStack({
    dir: join(dir, 'stack'),
    bundleDir,
    log,
    onStep: say,
    ...(inspector === undefined ? {} : { inspector }),
  })
  try {
    const tenant = await stack.createTenant('bench', ['infer', 'policy', 'audit'])
    const at = { url: stack.url, key: tenant.apiKey }
    await callApi({ ...at, method: 'PUT', path: `/v1/policies/${POLICY.id}`, body: POLICY })
    await callApi({ ...at, method: 'POST', path: `/v1/policies/${POLICY.id}/default` })
    say('Local node: each model passes its golden check first')
    const node = await stack.startNode({ name: 'bench', region: 'DE', verified: true })
    const adapters = readAdapters(await callApi({ ...at, method: 'GET', path: '/v1/network' }))
    const running: Running = {
      url: stack.url,
      workerdPid: stack.worker().pid,
      nodePid: node.pid,
      apiKey: tenant.apiKey,
    }
    return { stack, running, adapters }
  } catch (error) {
    await stack.close()
    throw error
  }
}

const Network = z.looseObject({
  nodes: z.array(
    z.looseObject({ adapter: z.looseObject({ name: z.string(), isSoftware: z.boolean() }) }),
  ),
})

function readAdapters(network: unknown): string[] {
  return Network.parse(network).nodes.map(
    ({ adapter }) => `${adapter.name}${adapter.isSoftware ? ' (software)' : ''}`,
  )
}
