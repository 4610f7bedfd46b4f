/** `littoral mqtt` between a real broker and the whole system, with restarts of broker, hub and bridge. */
import { fork, spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { connectAsync, type MqttClient } from 'mqtt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Tenant } from '#scripts/stack/stack.ts'
import { repositoryPath } from '#scripts/base/paths.ts'
import { createTestStack, type TestStack } from '#test/support/stack/stack.ts'
import { until } from '#test/support/poll.ts'
import { MQTT_PAYLOAD_BYTES } from '#bridge/mqtt/bridge.ts'

const MOSQUITTO = '/usr/sbin/mosquitto'
const MODEL = 'littoral-embed-400k'
const dir = mkdtempSync(join(tmpdir(), 'littoral-mqtt-'))

const hasOpenssl = spawnSync('openssl', ['version']).status === 0
/** A certificate authority and one certificate, used by both the broker and its client. */
const PEM = { cafile: `${dir}/ca.pem`, certfile: `${dir}/own.pem`, keyfile: `${dir}/own.key` }

function makeCertificates(): void {
  const openssl = (...args: string[]) => {
    const { status, stderr } = spawnSync('openssl', args, { encoding: 'utf8' })
    if (status !== 0) throw new Error(stderr)
  }
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  const named = (name: string) => ['-subj', `/CN=${name}`]
  openssl('req', '-x509', ...key, '-keyout', `${dir}/ca.key`, '-out', PEM.cafile, ...named('ca'))
  const issued = ['-CA', PEM.cafile, '-CAkey', `${dir}/ca.key`]
  const host = ['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  const own = ['-keyout', PEM.keyfile, '-out', PEM.certfile, ...named('localhost')]
  openssl('req', '-x509', ...key, ...issued, ...host, ...own)
}

/** Mosquitto, with its sessions on disk. */
class Broker {
  #process: ChildProcess | undefined
  port = 0
  /** The port that requires client certificates. */
  tlsPort = 0

  async start(): Promise<void> {
    this.port ||= await freePort()
    this.tlsPort ||= await freePort()
    const config = join(dir, 'mosquitto.conf')
    const lines = [
      `listener ${this.port} 127.0.0.1`,
      'allow_anonymous true',
      'persistence true',
      // A killed broker loses everything after its last save.
      'autosave_on_changes true',
      'autosave_interval 1',
      `persistence_location ${dir}/`,
      // Mosquitto's default account could not read this folder.
      `user ${userInfo().username}`,
      ...(hasOpenssl ? [`listener ${this.tlsPort} 127.0.0.1`, 'require_certificate true'] : []),
      ...(hasOpenssl ? Object.entries(PEM).map(([name, file]) => `${name} ${file}`) : []),
    ]
    writeFileSync(config, `${lines.join('\n')}\n`)
    this.#process = spawn(MOSQUITTO, ['-c', config], { stdio: 'ignore' })
    await until('the broker listens', () => isListening(this.port))
  }

  /** SIGTERM makes it save its sessions and close all connections. */
  async stop(how: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.#process === undefined) return
    this.#process.kill(how)
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
/** All answers that arrived, by topic. */
const answers = new Map<string, string[]>()

beforeAll(async () => {
  if (!existsSync(MOSQUITTO)) return
  if (hasOpenssl) makeCertificates()
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

async function startBridge(
  version: '4' | '5' = '4',
  to = [`--broker`, `mqtt://127.0.0.1:${broker.port}`],
): Promise<ChildProcess> {
  const child = fork(
    repositoryPath('bridge/mqtt/main.ts'),
    [
      ...to,
      ...'--from sensors/# --to answers/{topic}'.split(' '),
      ...`--url ${stack.url} --path /v1/embeddings --state ${join(dir, `mqtt${version}.db`)}`.split(
        ' ',
      ),
      ...`--mqtt-version ${version} --client-id bridge${version}`.split(' '),
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
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (part: Buffer) => (log += part.toString()))
  await until('the bridge has subscribed', () => log.includes('bridge.started'))
  return child
}

const publish = async (from: number, to: number) => {
  for (let n = from; n < to; n += 1)
    await backend.publishAsync(`sensors/${n}`, `pump ${n} runs hot`, { qos: 1 })
}
const allAnswered = (count: number) =>
  until(`${count} messages are answered`, () => answers.size >= count)

const killBridge = async () => {
  bridge.kill('SIGKILL')
  await once(bridge, 'exit')
}

/** The first answer to a message. */
async function answerOf(name: string): Promise<unknown> {
  const topic = `answers/sensors/${name}`
  await until(`${name} is answered`, () => answers.has(topic))
  return JSON.parse(answers.get(topic)?.[0] ?? '')
}

/** Messages are started in order: once this one is answered, all earlier ones have been processed. */
async function settled(name: string): Promise<void> {
  await backend.publishAsync(`sensors/${name}`, 'is that all?', { qos: 1 })
  await answerOf(name)
}

async function jobsOf(): Promise<number> {
  const { body } = await stack.get(tenant, '/v1/network/nodes')
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
    const counts = [...answers.values()].map((list) => list.length)
    expect(counts).toEqual(Array.from({ length: 35 }, () => 1))
    for (const list of answers.values())
      expect(JSON.parse(list[0] ?? '')).toMatchObject({ object: 'list', model: MODEL })
  })

  it('[MQ1] [MQ4] answers every message once when it is killed itself', async () => {
    await publish(35, 50)
    await killBridge()
    bridge = await startBridge()
    await allAnswered(50)
    await settled('after-kill')
    for (const list of answers.values()) expect(list).toHaveLength(1)
  })

  it('[MQ7] answers a message that is too large with an error, and still answers the next ones', async () => {
    const jobs = await jobsOf()
    const large = Buffer.alloc(MQTT_PAYLOAD_BYTES + 1, 0x61)
    await backend.publishAsync('sensors/large', large, { qos: 1 })
    await settled('after-large')
    expect(await answerOf('large')).toMatchObject({
      code: 'too_large',
      detail: expect.stringContaining(`${large.length} bytes, at most ${MQTT_PAYLOAD_BYTES}`),
    })
    expect(await answerOf('after-large')).toMatchObject({ object: 'list' })
    expect(await jobsOf()).toBe(jobs + 1)
  })

  it('[MQ5] publishes the error document for a message that does not fit the template', async () => {
    await backend.publishAsync('sensors/bad', Buffer.from([0xff, 0xfe]), { qos: 1 })
    expect(await answerOf('bad')).toMatchObject({ code: 'invalid_request', status: 400 })
  })

  it.skipIf(!hasOpenssl)(
    'answers through a broker that requires a client certificate',
    async () => {
      await killBridge()
      const to = ['--broker', `mqtts://127.0.0.1:${broker.tlsPort}`, '--ca', PEM.cafile]
      bridge = await startBridge('4', [...to, '--cert', PEM.certfile, '--cert-key', PEM.keyfile])
      await settled('certified')
    },
  )

  describe.each(['4', '5'] as const)('in version %s of the protocol', (version) => {
    const of = (name: string) => answers.get(`answers/sensors/${name}`) ?? []
    const send = (name: string, text = 'hello', retain = false) =>
      backend.publishAsync(`sensors/${name}`, text, { qos: 1, retain })
    const restart = async () => {
      await killBridge()
      bridge = await startBridge(version)
    }
    beforeAll(restart)

    it('[MQ3] answers messages once that waited at the broker while it was away', async () => {
      await killBridge()
      const jobs = await jobsOf()
      const names = Array.from({ length: 8 }, (_, n) => `away${version}x${n}`)
      for (const name of names) await send(name)
      bridge = await startBridge(version)
      await settled(`back${version}`)
      await until('all are answered', () => names.every((name) => of(name).length > 0))
      expect(names.map((name) => of(name).length)).toEqual(names.map(() => 1))
      expect(await jobsOf()).toBe(jobs + names.length + 1)
    })

    it('[MQ8] answers a retained message once for each content, however often it starts', async () => {
      const kept = `kept${version}`
      await send(kept, 'hello', true)
      await until('it is answered', () => of(kept).length === 1)
      for (const turn of [1, 2]) {
        await restart()
        await settled(`again${version}x${turn}`)
      }
      expect(of(kept)).toHaveLength(1)
      await killBridge()
      await send(kept, 'good night', true)
      bridge = await startBridge(version)
      await settled(`night${version}`)
      expect(of(kept)).toHaveLength(2)
      await send(kept, '', true)
    })

    it('[MQ4] answers each message once, whenever it is killed', async () => {
      const names = Array.from({ length: 12 }, (_, n) => `killed${version}x${n}`)
      for (const [n, name] of names.entries()) {
        await send(name, `hello ${n}`)
        if (n % 3 === 2) await restart()
      }
      await until('all are answered', () => names.every((name) => of(name).length > 0))
      await settled(`survivor${version}`)
      expect(names.map((name) => of(name).length)).toEqual(names.map(() => 1))
    })

    it('[MQ2] asks about each message once when the broker is killed', async () => {
      const before = await jobsOf()
      const names = Array.from({ length: 4 }, (_, n) => `broken${version}x${n}`)
      for (const [n, name] of names.entries()) {
        await send(name, `hello ${n}`)
        // A killed broker loses unsaved messages, so wait until it has delivered this one.
        await until('it is asked', async () => (await jobsOf()) === before + n + 1)
        await broker.stop('SIGKILL')
        await broker.start()
        await until('the backend is back', () => backend.connected)
      }
      await settled(`whole${version}`)
      expect(await jobsOf()).toBe(before + names.length + 1)
      for (const name of names) expect(new Set(of(name)).size).toBeLessThanOrEqual(1)
    })
  })
})
