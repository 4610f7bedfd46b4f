/** The peer: NATS request and reply (https://nats.io) through its own server and client on this machine. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { connect } from '@nats-io/transport-node'
import { endWithUs } from '../harness/child.ts'

export interface NatsServer {
  readonly url: string
  readonly pid: number
  close(): Promise<void>
}

export const NATS_SUBJECT = 'littoral.bench.echo'

const START_TIMEOUT_MS = 10_000
const LISTENING = /Listening for client connections on (\S+:\d+)/

export const NATS_MISSING =
  'NATS is left out: there is no nats-server on PATH or in NATS_SERVER. Its releases are at ' +
  'https://github.com/nats-io/nats-server/releases; Debian has the source, golang-github-nats-io-nats-server-dev.'

/** Undefined where the server is not installed. */
export async function startNats(): Promise<NatsServer | undefined> {
  const program = process.env['NATS_SERVER'] ?? 'nats-server'
  const child = spawn(program, ['--addr', '127.0.0.1', '--port', '-1'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const close = endWithUs(child)
  const { promise: address, resolve, reject } = Promise.withResolvers<string | undefined>()
  const timer = setTimeout(() => reject(new Error('nats-server said nothing')), START_TIMEOUT_MS)
  child.once('error', (error: NodeJS.ErrnoException) =>
    error.code === 'ENOENT' ? resolve(undefined) : reject(error),
  )
  child.once('exit', (code) => reject(new Error(`nats-server ended with ${code}`)))
  createInterface({ input: child.stderr }).on('line', (line) => {
    const found = LISTENING.exec(line)?.[1]
    if (found !== undefined) resolve(found)
  })
  try {
    const found = await address
    return found === undefined ? undefined : { url: found, pid: child.pid ?? 0, close }
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  } finally {
    clearTimeout(timer)
  }
}

/** Sends each request's bytes back. */
export async function answerNats(servers: string): Promise<void> {
  const connection = await connect({ servers })
  connection.subscribe(NATS_SUBJECT, {
    callback: (error, message) => {
      if (error !== null) throw error
      message.respond(message.data)
    },
  })
  await connection.flush()
}
