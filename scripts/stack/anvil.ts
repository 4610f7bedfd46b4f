/** Runs the local chain: anvil as a child process that keeps its state in a file. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '#shared/base/log.ts'
import { foundryBinary } from '#scripts/base/forge.ts'
import { endOf, type Child } from './keep-running.ts'

const READY_TIMEOUT_MS = 120_000
const STOP_TIMEOUT_MS = 5_000
const OUTPUT_KEPT = 4_000

/** Chain id of every local chain, as in Foundry and Hardhat. */
export const LOCAL_CHAIN_ID = 31_337

export interface Chain extends Child {
  readonly rpc: string
  readonly chainId: number
  readonly pid: number
  /** Ends anvil after it has written its state. */
  close(): Promise<void>
}

export interface AnvilOptions {
  /** Holds the state, `anvil.json`. */
  readonly dir: string
  /** @default 0, a free one */
  readonly port?: number
  readonly log: Log
  /** Seconds between blocks; without it a block is mined for every transaction. */
  readonly blockTimeSeconds?: number
}

/** Starts anvil on 127.0.0.1 and resolves when it answers. */
export async function startAnvil(options: AnvilOptions): Promise<Chain> {
  await mkdir(options.dir, { recursive: true })
  const args = ['--host', '127.0.0.1', '--port', String(options.port ?? 0), '--chain-id']
  args.push(String(LOCAL_CHAIN_ID), '--hardfork', 'osaka')
  args.push('--state', join(options.dir, 'anvil.json'), '--state-interval', '1')
  if (options.blockTimeSeconds) args.push('--block-time', String(options.blockTimeSeconds))
  const child = spawn(foundryBinary('anvil'), args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = endOf(child)
  const rpc = await waitUntilListening(child)
  options.log.info('chain.started', { rpc, chainId: LOCAL_CHAIN_ID })
  return { rpc, chainId: LOCAL_CHAIN_ID, pid: child.pid ?? 0, ended, close: () => stop(child) }
}

function waitUntilListening(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = ''
    const fail = (reason: string) => {
      child.kill('SIGKILL')
      reject(new Error(`anvil ${reason}\n${output}`))
    }
    const timer = setTimeout(
      () => fail(`did not start in ${READY_TIMEOUT_MS} ms`),
      READY_TIMEOUT_MS,
    )
    const read = (text: Buffer) => {
      output = (output + text.toString()).slice(-OUTPUT_KEPT)
      const address = /Listening on ([0-9.]+:[0-9]+)/.exec(output)?.[1]
      if (address === undefined) return
      clearTimeout(timer)
      resolve(`http://${address}`)
    }
    child.stdout?.on('data', read)
    child.stderr?.on('data', read)
    void endOf(child).then((how) => {
      clearTimeout(timer)
      fail(`ended: ${how}`)
    })
  })
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
  await ended
  clearTimeout(timer)
}
