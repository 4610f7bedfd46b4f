/** Runs the whole system on this machine, for `npm start`, end-to-end tests and benchmarks: chain, Worker, nodes, tenants. */
import { join } from 'node:path'
import { NetworkReply } from '#shared/api/network.ts'
import { createLogSigner } from '#shared/audit/checkpoint.ts'
import type { Address, Bytes32 } from '#shared/base/ids.ts'
import type { Log } from '#shared/base/log.ts'
import type { PublicKey } from '#shared/proof/signature.ts'
import { PAGES_DIR, SIMULATED_WORKER_DIR } from '#scripts/build/build.ts'
import {
  deploySettlement,
  fundConsumer,
  newPoster,
  registerHubKey,
  startAnvil,
  type Chain,
  type Deployment,
} from './chain.ts'
import { claimPlace } from './claim-place.ts'
import { startNodeProcess, type NodeProcess, type NodeProcessOptions } from './node-process.ts'
import { keepRunning, type Keeper, type Kept } from './keep-running.ts'
import { createKeyRing } from './key-ring.ts'
import { createOperator, type Operator } from './operator.ts'
import { readBundle } from '#scripts/build/bundle.ts'
import { loadSecrets } from './secrets.ts'
import { startWorkerd, type Workerd } from './workerd.ts'

export interface StackOptions {
  /** Holds the state of chain, Worker and nodes. */
  readonly dir: string
  /** @default 0: a free one */
  readonly port?: number
  readonly log: Log
  /** @default 1 */
  readonly batchSeconds?: number
  /** Country where TLS ends. @default DE */
  readonly ingressCountry?: string
  readonly onStep?: (text: string) => void
  /** Builds the bundle; runs once folder and port are taken. */
  readonly prepare?: () => Promise<void>
  /** @default dist/worker-simulated */
  readonly bundleDir?: string
  /** @default hub:any */
  readonly regions?: string
  /** Restarts chain, workerd and nodes when they end. @default no restart */
  readonly keeper?: Keeper
  /** Address of workerd's inspector. @default none */
  readonly inspector?: string
}

export interface Tenant {
  readonly id: string
  readonly apiKey: string
  readonly consumer: Address
}

export interface Stack {
  readonly url: string
  readonly chain: Chain
  readonly deployment: Deployment
  readonly operator: Operator
  readonly worker: () => Workerd
  /** Public key of the audit logs' checkpoints. */
  readonly logPublicKey: Bytes32
  /** Makes a tenant with a key and a funded consumer account. */
  createTenant(id: string, scopes: readonly string[]): Promise<Tenant>
  startNode(
    options: Omit<NodeProcessOptions, 'hub' | 'dir' | 'key' | 'log'> & {
      readonly verified: boolean
    },
  ): Promise<NodeProcess>
  /** Ends workerd, in order or by SIGKILL, and starts it again on the same port and state. */
  restartWorker(how: 'close' | 'kill', whileDown?: () => void | Promise<void>): Promise<void>
  close(): Promise<void>
}

const BALANCE_MICRO_USD = 1_000_000_000n
const BATCH_LIMIT_MICRO_USD = 100_000_000n
const NODE_RETURNS =
  '; it takes kernels once its device is open, and each model once that is past its golden check'

export async function startStack(options: StackOptions): Promise<Stack> {
  const step = options.onStep ?? (() => {})
  const closers: (() => Promise<void>)[] = []
  const close = async () => {
    for (const closer of closers.splice(0).toReversed()) await closer()
  }
  try {
    const unlock = await claimPlace({ stateDir: options.dir, port: options.port ?? 0 })
    closers.push(async () => unlock())
    await options.prepare?.()
    return await bringUp(options, { step, closers, close })
  } catch (error) {
    await close()
    throw error
  }
}

interface Bringing {
  readonly step: (text: string) => void
  readonly closers: (() => Promise<void>)[]
  readonly close: () => Promise<void>
}

async function bringUp(options: StackOptions, { step, closers, close }: Bringing): Promise<Stack> {
  const { dir, log } = options
  const chainDir = join(dir, 'chain')
  step('Chain: anvil, contracts')
  const keptChain = await keepChain(chainDir, options)
  closers.push(() => keptChain.close())
  const chain = keptChain.current()
  const access = { rpc: chain.rpc, dir: chainDir }
  const deployment = await deploySettlement(access)
  const poster = await newPoster(access, deployment)
  const secrets = loadSecrets(dir)

  step('Worker: workerd with Hub, Tenant and Ledger')
  const bundleDir = options.bundleDir ?? SIMULATED_WORKER_DIR
  const isSimulated = readBundle(bundleDir).simulatedPlaces
  const workerOptions = {
    bundleDir,
    stateDir: join(dir, 'worker'),
    assetsDir: PAGES_DIR,
    ...(options.inspector === undefined ? {} : { inspector: options.inspector }),
    log,
    vars: {
      HUB_REGIONS: options.regions ?? 'hub:any',
      INGRESS_COUNTRY: options.ingressCountry ?? 'DE',
      CHAIN_RPC: chain.rpc,
      PUBLIC_RPC: chain.rpc,
      CHAIN_ID: String(deployment.chainId),
      SETTLEMENT_ADDRESS: deployment.settlement,
      BATCH_SECONDS: String(options.batchSeconds ?? 1),
      POSTER_KEY: poster.privateKey,
      ...secrets,
    },
  }
  const worker = await keepRunning(
    'The Worker (workerd)',
    (before?: Workerd) =>
      startWorkerd({ ...workerOptions, port: before?.port ?? options.port ?? 0 }),
    options.keeper,
  )
  closers.push(() => worker.close())
  const { url } = worker.current()
  const operator = createOperator(url, secrets.OPERATOR_KEY)
  for (const hub of await hubKeys(url)) await registerHubKey(access, deployment, hub)
  const keyRing = createKeyRing(join(dir, 'keys.json'), operator)
  const nodeKey = await keyRing.key({ tenant: 'operator', scopes: ['node'] })

  return {
    url,
    chain,
    deployment,
    logPublicKey: (await createLogSigner(secrets.LOG_KEY)).publicKey,
    operator,
    worker: () => worker.current(),
    async createTenant(id, scopes) {
      const consumer = await fundConsumer(access, deployment, {
        name: id,
        balanceMicroUsd: BALANCE_MICRO_USD,
        batchLimitMicroUsd: BATCH_LIMIT_MICRO_USD,
      })
      const key = await keyRing.key({ tenant: id, scopes, consumer: consumer.address })
      return { id, apiKey: key, consumer: consumer.address }
    },
    async startNode({ verified, ...node }) {
      const key = verified ? nodeKey : undefined
      const simulatedPlace = isSimulated ? (node.simulatedPlace ?? node.region) : undefined
      const start = () => startNodeProcess({ ...node, simulatedPlace, hub: url, dir, key, log })
      const kept = await keepRunning(`Node ${node.name}`, start, options.keeper, NODE_RETURNS)
      closers.push(() => kept.close())
      return kept.current()
    },
    restartWorker: (how, whileDown) =>
      worker.replace(async (running) => {
        await (how === 'kill' ? running.kill() : running.close())
        await whileDown?.()
      }),
    close,
  }
}

/** Keeps the port, because the Worker gets the address only once. */
function keepChain(dir: string, { log, keeper }: StackOptions): Promise<Kept<Chain>> {
  const start = (before?: Chain) =>
    startAnvil({ dir, log, port: before === undefined ? 0 : Number(new URL(before.rpc).port) })
  return keepRunning('The chain (anvil)', start, keeper)
}

async function hubKeys(url: string): Promise<PublicKey[]> {
  const response = await fetch(`${url}/v1/network`, { signal: AbortSignal.timeout(30_000) })
  return NetworkReply.parse(await response.json()).hubs.map((hub) => hub.hubKey)
}
