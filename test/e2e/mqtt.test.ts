/** `littoral mqtt` between a real broker and the whole system, through restarts of the broker, the hub and the bridge. */
import { fork, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { connectAsync, type MqttClient } from 'mqtt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Tenant } from '#scripts/lib/stack.ts'
import { LIMITS } from '#shared/limits.ts'
import { repositoryPath } from '#scripts/lib/paths.ts'
import { createTestStack, type TestStack } from '../support/stack.ts'
import { until } from '../support/poll.ts'

const MOSQUITTO = '/usr/sbin/mosquitto'
const MODEL = 'littoral-embed-400k'
const dir = mkdtempSync(join(tmpdir(), 'littoral-mqtt-'))

/** Mosquitto, with its sessions on disk. */
class Broker {
  #process: ChildProcess | undefined
  port = 0

  async start(): Promise<void> {
    this.port ||= await freePort()
    const config = join(dir, 'mosquitto.conf')
    const lines = [
      `listener ${this.port} 127.0.0.1`,
      'allow_anonymous true',
      'persistence true',
      `persistence_location ${dir}/`,
      // The account that started it; its own would not read this folder.
      `user ${userInfo().username}`,
    ]
    writeFileSync(config, `${lines.join('\n')}\n`)
    this.#process = spawn(MOSQUITTO, ['-c', config], { stdio: 'ignore' })
    await until('the broker listens', () => isListening(this.port))
  }

  /** Ends it as its service would be: it writes its sessions and cuts every connection. */
  async stop(): Promise<void> {
    if (this.#process === undefined) return
    this.#process.kill('SIGTERM')
    await once(this.#process, 'exit')
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

const broker = new Broker()
let stack: TestStack
let tenant: Tenant
let bridge: ChildProcess
let backend: MqttClient
/** Answers by topic, every one that came. */
const answers = new Map<string, string[]>()

beforeAll(async () => {
  if (!existsSync(MOSQUITTO)) return
  await broker.start()
  stack = await createTestStack()
  tenant = await stack.createTenant('iot', ['infer', 'policy'])
  await stack.startNode({ name: 'de', region: 'DE', device: 'cpu', verified: true })
  backend = await connectAsync(`mqtt://127.0.0.1:${broker.port}`, {
    clientId: 'backend',
    clean: false,
    reconnectPeriod: 200,
  })
  backend.on('message', (topic, payload) =>
    answers.set(topic, [...(answers.get(topic) ?? []), payload.toString()]),
  )
  await backend.subscribeAsync('answers/#', { qos: 2 })
  bridge = await startBridge()
})
afterAll(async () => {
  bridge?.kill('SIGKILL')
  await backend?.endAsync(true)
  await broker.stop()
  await stack?.close()
  rmSync(dir, { recursive: true, force: true })
})

async function startBridge(): Promise<ChildProcess> {
  const child = fork(
    repositoryPath('bridge/mqtt/main.ts'),
    [
      ...`--broker mqtt://127.0.0.1:${broker.port} --from sensors/# --to answers/{topic}`.split(
        ' ',
      ),
      ...`--url ${stack.url} --path /v1/embeddings --state ${join(dir, 'mqtt.db')}`.split(' '),
      '--body',
      JSON.stringify({ model: MODEL, input: '$text', encoding_format: 'base64' }),
    ],
    {
      env: { ...process.env, LITTORAL_API_KEY: tenant.apiKey },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      execArgv: ['--disable-warning=ExperimentalWarning'],
    },
  )
  let log = ''
  child.stdout?.on('data', (part: Buffer) => (log += part.toString()))
  child.stderr?.on('data', (part: Buffer) => (log += part.toString()))
  if (process.env['DEBUG_MQTT'])
    child.stdout?.on('data', (part: Buffer) => process.stderr.write(part))
  await until('the bridge has subscribed', () => log.includes('bridge.started'))
  return child
}

const publish = async (from: number, to: number) => {
  for (let n = from; n < to; n += 1)
    await backend.publishAsync(`sensors/${n}`, `pump ${n} runs hot`, { qos: 1 })
}
const allAnswered = (count: number) =>
  until(`${count} messages are answered`, () => answers.size >= count)

async function jobsOf(): Promise<number> {
  const { body } = await stack.get(tenant, '/v1/network')
  const nodes = body.nodes as { jobsDone: number }[]
  return nodes.reduce((sum, node) => sum + node.jobsDone, 0)
}

describe.skipIf(!existsSync(MOSQUITTO))('the MQTT bridge', () => {
  it('[MQ2] [MQ3] answers each message once, through restarts of the broker and the hub', async () => {
    await publish(0, 5)
    await allAnswered(5)
    expect(await jobsOf()).toBe(5)

    const during = publish(5, 25)
    await broker.stop()
    await broker.start()
    await during
    await allAnswered(25)

    await publish(25, 35)
    await stack.restartWorker('kill')
    await allAnswered(35)
    await new Promise((resolve) => setTimeout(resolve, 500))
    const counts = [...answers.values()].map((list) => list.length)
    expect(counts).toEqual(Array.from({ length: 35 }, () => 1))
    for (const list of answers.values())
      expect(JSON.parse(list[0] ?? '')).toMatchObject({ object: 'list', model: MODEL })
  })

  it('[MQ1] [MQ4] answers every message when it is killed itself, and twice only with the same bytes', async () => {
    await publish(35, 50)
    bridge.kill('SIGKILL')
    await once(bridge, 'exit')
    bridge = await startBridge()
    await allAnswered(50)
    await new Promise((resolve) => setTimeout(resolve, 500))
    for (const list of answers.values()) expect(new Set(list).size).toBe(1)
  })

  it('[MQ7] answers a message that is too large with an error, and the next ones as ever', async () => {
    const jobs = await jobsOf()
    const large = Buffer.alloc(LIMITS.mqttPayloadBytes + 1, 0x61)
    await backend.publishAsync('sensors/large', large, { qos: 1 })
    await backend.publishAsync('sensors/after', 'pump runs hot', { qos: 1 })
    await until('both are answered', () =>
      ['answers/sensors/large', 'answers/sensors/after'].every((topic) => answers.has(topic)),
    )
    expect(JSON.parse(answers.get('answers/sensors/large')?.[0] ?? '')).toMatchObject({
      code: 'too_large',
      detail: expect.stringContaining(`${large.length} bytes, at most ${LIMITS.mqttPayloadBytes}`),
    })
    expect(JSON.parse(answers.get('answers/sensors/after')?.[0] ?? '')).toMatchObject({
      object: 'list',
    })
    expect(await jobsOf()).toBe(jobs + 1)
  })

  it('publishes the error document for a message that no request can be made of', async () => {
    await backend.publishAsync('sensors/bad', Buffer.from([0xff, 0xfe]), { qos: 1 })
    await until('the refusal is published', () => answers.has('answers/sensors/bad'))
    expect(JSON.parse(answers.get('answers/sensors/bad')?.[0] ?? '')).toMatchObject({
      code: 'invalid_request',
      status: 400,
    })
  })
})
