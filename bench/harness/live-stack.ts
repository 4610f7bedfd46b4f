/** The whole system, shared by the benches that need it: the first one starts it. */
import { z } from 'zod'
import { callApi } from '#scripts/stack/operator.ts'
import type { Stack } from '#scripts/stack/stack.ts'
import { openStack, type OpenStackOptions } from './open-stack.ts'

export interface Running {
  readonly url: string
  readonly workerdPid: number
  readonly nodePid: number
  /** Key of a tenant whose default policy is {@link POLICY}. */
  readonly apiKey: string
}

export interface LiveStack {
  running(): Promise<Running>
  /** Names of its nodes' adapters; empty when it was never started. */
  adapters(): readonly string[]
  close(): Promise<void>
}

type LiveStackOptions = Omit<OpenStackOptions, 'policy'> & Required<Pick<OpenStackOptions, 'say'>>

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
      // A failed start has already cleaned up.
      const started = await starting?.catch(() => undefined)
      await started?.stack.close()
    },
  }
}

async function start(options: LiveStackOptions) {
  const { stack, url, key } = await openStack({ ...options, policy: POLICY })
  try {
    options.say('Local node: each model passes its golden check first')
    const node = await stack.startNode({ name: 'bench', region: 'DE', verified: true })
    const adapters = readAdapters(
      await callApi({ url, key, method: 'GET', path: '/v1/network/nodes' }),
    )
    const running: Running = {
      url,
      workerdPid: stack.worker().pid,
      nodePid: node.pid,
      apiKey: key,
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
