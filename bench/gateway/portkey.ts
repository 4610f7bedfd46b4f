/** The peer: Portkey's AI gateway (https://github.com/Portkey-AI/gateway) as its package starts it, before the loopback upstream. */
import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { endWithUs } from '../harness/child.ts'

export interface Portkey {
  readonly url: string
  readonly pid: number
  /** Headers that name the provider in each request. */
  readonly headers: Readonly<Record<string, string>>
  close(): Promise<void>
}

const START_TIMEOUT_MS = 20_000
const POLL_MS = 100

export async function startPortkey(upstream: string): Promise<Portkey> {
  const port = await freePort()
  const program = createRequire(import.meta.url).resolve(
    '@portkey-ai/gateway/build/start-server.js',
  )
  const child = spawn(process.execPath, [program, `--port=${port}`, '--headless'], {
    stdio: 'ignore',
    env: { ...process.env, NODE_ENV: 'production', TRUSTED_CUSTOM_HOSTS: '127.0.0.1' },
  })
  const close = endWithUs(child)
  const url = `http://127.0.0.1:${port}`
  try {
    await untilAnswering(url)
  } catch (error) {
    await close()
    throw error
  }
  return {
    url,
    pid: child.pid ?? 0,
    headers: {
      // A provider with OpenAI's format that works in 1.15.2: `openai` itself answers 500 after the
      // upstream has answered, because it writes to headers that undici has made immutable.
      'x-portkey-provider': 'ollama',
      'x-portkey-custom-host': `${upstream}/v1`,
    },
    close,
  }
}

async function untilAnswering(url: string): Promise<void> {
  const signal = AbortSignal.timeout(START_TIMEOUT_MS)
  for (;;) {
    signal.throwIfAborted()
    const answer = await fetch(url, { signal }).catch(() => undefined)
    await answer?.arrayBuffer()
    if (answer?.ok === true) return
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

/** The gateway needs a port number and does not report which one it got for 0. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
