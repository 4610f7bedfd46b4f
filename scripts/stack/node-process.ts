/** Runs a local node as a child process, as its owner would. */
import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { NetworkNodesReply } from '#shared/api/network.ts'
import type { Log } from '#shared/base/log.ts'
import { AppError } from '#shared/base/errors.ts'
import { endOf, type Child } from './keep-running.ts'
import { repositoryPath } from '#scripts/base/paths.ts'

export interface NodeProcessOptions {
  readonly hub: string
  /** Holds `node-NAME/` with the node's keys. */
  readonly dir: string
  readonly name: string
  readonly region: string
  /** The place that a development Worker takes as seen; a production Worker refuses it. @default none */
  readonly simulatedPlace?: string | undefined
  /** @default auto */
  readonly device?: 'auto' | 'webgpu' | 'cpu'
  readonly key?: string | undefined
  /** Further options of the command line: `--models none`. */
  readonly options?: readonly string[]
  /** Another program that takes the same options. @default the local node */
  readonly program?: string | undefined
  readonly log: Log
}

export interface NodeProcess extends Child {
  readonly nodeId: string
  readonly stateDir: string
  readonly pid: number
  /** The newest lines that the node has written. */
  readonly lines: readonly string[]
  close(): Promise<void>
  /** Sends SIGKILL. */
  kill(): Promise<void>
}

const READY_TIMEOUT_MS = 180_000
const STOP_TIMEOUT_MS = 5_000
const LINES_KEPT = 10_000
const Line = z.looseObject({
  event: z.string(),
  phase: z.string().optional(),
  nodeId: z.string().optional(),
  detail: z.string().optional(),
  models: z.string().optional(),
})
const LOOK_MS = 100

/** Resolves once the hub lists the node and its admitted models. @throws {AppError} internal with the node's last lines */
export async function startNodeProcess(options: NodeProcessOptions): Promise<NodeProcess> {
  const { program = 'local-node/main.ts' } = options
  const stateDir = join(options.dir, `node-${options.name}`)
  const args = ['--hub', options.hub, '--region', options.region, '--state', stateDir]
  args.push('--device', options.device ?? 'auto')
  if (options.simulatedPlace !== undefined) args.push('--simulated-place', options.simulatedPlace)
  args.push(...(options.options ?? []))
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', repositoryPath(program), ...args],
    {
      // A group of its own: Ctrl-C reaches only the parent, which ends the node in order.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        ...(options.key === undefined ? {} : { LITTORAL_NODE_KEY: options.key }),
      },
    },
  )
  const killGroup = () => endGroup(child, 'SIGKILL')
  process.once('exit', killGroup)
  // The engine processes must not outlive the node.
  const ended = endOf(child).then((how) => {
    process.off('exit', killGroup)
    killGroup()
    return how
  })
  const lines: string[] = []
  const nodeId = await untilReady(child, lines, options).catch((error: unknown) => {
    killGroup()
    throw error
  })
  const stop = async (signal: NodeJS.Signals) => {
    // SIGTERM goes to the node alone, which says goodbye; SIGKILL also ends its engine processes.
    if (signal === 'SIGKILL') killGroup()
    else child.kill(signal)
    const timer = setTimeout(killGroup, STOP_TIMEOUT_MS)
    await ended
    clearTimeout(timer)
  }
  return {
    nodeId,
    stateDir,
    pid: child.pid ?? 0,
    lines,
    ended,
    close: () => stop('SIGTERM'),
    kill: () => stop('SIGKILL'),
  }
}

function untilReady(
  child: ChildProcess,
  lines: string[],
  options: NodeProcessOptions,
): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  let nodeId: string | undefined
  let models: readonly string[] | undefined
  let isLooking = false
  const fail = (why: string) =>
    reject(new AppError('internal', `node ${options.name} ${why}\n${lines.slice(-20).join('\n')}`))
  const timer = setTimeout(() => fail(`was not ready in ${READY_TIMEOUT_MS} ms`), READY_TIMEOUT_MS)
  void endOf(child).then((how) => fail(`ended: ${how}`))
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line)
      if (lines.length > LINES_KEPT) lines.shift()
      const wrote = parseLine(line)
      options.log.debug('node.wrote', { node: options.name, line })
      if (wrote.event === 'node.ready') models = wrote.models?.split(',').filter((id) => id !== '')
      if (wrote.event === 'node.changed' && wrote.phase === 'online') nodeId = wrote.nodeId
      if (isLooking || nodeId === undefined || models === undefined) return
      isLooking = true
      untilSeen(options.hub, nodeId, models).then(resolve, reject)
    })
  }
  return promise.finally(() => clearTimeout(timer))
}

/** Polls, because models loaded after the hello reach the hub by gossip. @returns the node's id */
async function untilSeen(hub: string, nodeId: string, models: readonly string[]): Promise<string> {
  const deadline = AbortSignal.timeout(READY_TIMEOUT_MS)
  for (;;) {
    let next: string | null = null
    do {
      const query: string = next === null ? '' : `?hub=${next}`
      const response = await fetch(`${hub}/v1/network/nodes${query}`, { signal: deadline })
      const page = NetworkNodesReply.parse(await response.json())
      const seen = page.nodes.find((node) => node.nodeId === nodeId)?.models.map(({ id }) => id)
      if (seen !== undefined && models.every((id) => seen.includes(id))) return nodeId
      ;({ next } = page)
    } while (next !== null)
    await sleep(LOOK_MS, undefined, { signal: deadline })
  }
}

function parseLine(line: string): z.infer<typeof Line> {
  try {
    return Line.parse(JSON.parse(line))
  } catch {
    return { event: '' }
  }
}

function endGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch {
    child.kill(signal)
  }
}
