/** From an MQTT topic to the endpoint and back: each message noted, asked once, answered once, in any order of failures. */
import { connect, ErrorWithReasonCode, type IPublishPacket, type MqttClient } from 'mqtt'
import { AppError, toAppError, toProblem } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import { askEndpoint, type EndpointOptions } from './endpoint.ts'
import type { Entry, Journal } from './journal.ts'
import { answerTopic, fillTemplate } from './request.ts'

export interface BridgeOptions {
  /** `mqtt://host:1883`, `mqtts://…`, `ws://…` */
  readonly broker: string
  /** The broker keeps this client's session while it is away. */
  readonly clientId: string
  /** 4 is MQTT 3.1.1, which every broker speaks. */
  readonly protocolVersion: 4 | 5
  readonly username?: string | undefined
  readonly password?: string | undefined
  /** PEM: authorities that the broker's certificate may come from, and this client's own certificate with its key. */
  readonly ca?: Buffer | undefined
  readonly certificate?: { readonly cert: Buffer; readonly key: Buffer } | undefined
  /** Topic filter to subscribe to. */
  readonly from: string
  /** Topic of the answers; `{topic}` is the message's own. */
  readonly to: string
  readonly endpoint: EndpointOptions
  /** JSON of the request. */
  readonly template: unknown
  /** Requests at once. */
  readonly concurrency: number
  readonly journal: Journal
  readonly log: Log
}

export interface Bridge {
  /** Takes no more messages, and leaves what is unfinished in the journal for the next start. */
  close(): Promise<void>
}

const RECONNECT_MS = 1_000
/** A broker of MQTT 5 keeps larger packets to itself; one of 3.1.1 is not asked. */
const SESSION = {
  sessionExpiryInterval: 0xffff_fffe,
  maximumPacketSize: LIMITS.mqttPacketBytes,
}
/** Exactly once between bridge and broker. */
const ANSWER_QOS = 2

export async function startBridge(options: BridgeOptions): Promise<Bridge> {
  const { broker, clientId, protocolVersion, username, password, ca, from, journal, log } = options
  const ended = new AbortController()
  const client = connect(broker, {
    clientId,
    clean: false,
    protocolVersion,
    // That the session outlives the connection is said in seconds in MQTT 5, and by `clean` before.
    ...(protocolVersion === 5 ? { properties: SESSION } : {}),
    reconnectPeriod: RECONNECT_MS,
    resubscribe: true,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(ca === undefined ? {} : { ca }),
    ...options.certificate,
    outgoingStore: journal.outgoing,
  })
  const work = createWorkers(options, client, ended.signal)
  // Before the connection is up: a broker that kept this session sends its messages with the very first bytes.
  client.handleMessage = (packet, acknowledge) => take({ packet, acknowledge, journal, work, log })
  for (const left of journal.left) work.add(left)
  await firstConnection(client)
  client.on('reconnect', () => log.info('broker.reconnecting', {}))
  client.on('error', (error) => log.warn('broker.failed', { cause: error.message }))
  await client.subscribeAsync(from, { qos: 1 })
  log.info('bridge.started', { from })
  return {
    async close() {
      ended.abort(new Error('the bridge was closed'))
      await work.idle()
      await client.endAsync()
    },
  }
}

/** @throws what the broker refused the first connection with; later ones are tried for ever */
async function firstConnection(client: MqttClient): Promise<void> {
  const connected = Promise.withResolvers<void>()
  client.once('connect', () => connected.resolve())
  client.once('error', connected.reject)
  try {
    await connected.promise
  } catch (error) {
    client.end(true)
    throw error
  } finally {
    client.off('error', connected.reject)
  }
}

interface Taking {
  readonly packet: IPublishPacket
  readonly acknowledge: (error?: Error) => void
  readonly journal: Journal
  readonly work: Workers
  readonly log: Log
}

/** The broker gets its acknowledgement when the message is on disk, not when it is answered. */
function take({ packet, acknowledge, journal, work, log }: Taking): void {
  const { topic, messageId = 0, dup, retain } = packet
  const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload
  try {
    const delivery = {
      topic,
      payload,
      packetId: messageId,
      isRepeated: dup,
      isRetained: retain,
    }
    const entry = journal.note(delivery, refusalOf(payload.length))
    if (entry === null) log.info('message.repeated', { topic })
    else work.add(entry)
    acknowledge()
  } catch (cause) {
    // Not acknowledged: the broker keeps it and sends it again after the next connect.
    log.error('message.not-taken', { topic, cause: toAppError(cause).detail })
    acknowledge(cause instanceof Error ? cause : new Error(String(cause)))
  }
}

/** Of a message that is too large to be looked at: it is answered and out of the way. */
function refusalOf(sizeBytes: number): ((id: string) => Uint8Array) | undefined {
  const most = LIMITS.mqttPayloadBytes
  if (sizeBytes <= most) return undefined
  const detail = `The message has ${sizeBytes} bytes, at most ${most} are taken: send less in one.`
  return (id) => encodeProblem(new AppError('too_large', detail), id)
}

interface Workers {
  add(entry: Entry): void
  /** Resolves when nothing runs. */
  idle(): Promise<void>
}

/** Runs entries in the order in which they came, `concurrency` at once. */
function createWorkers(options: BridgeOptions, client: MqttClient, signal: AbortSignal): Workers {
  const { concurrency, journal, log } = options
  const waiting: Entry[] = []
  const running = new Set<Promise<void>>()

  /** The connection was lost before a packet held the answer. */
  const retry = (entry: Entry | undefined) => {
    if (entry !== undefined) waiting.push(entry)
  }
  const finish = async (entry: Entry) => {
    let { answer } = entry
    if (answer === null) {
      answer = await answerEntry(options, entry, signal)
      journal.answered(entry.id, answer)
    }
    const topic = answerTopic(options.to, entry.topic)
    journal.publishing(entry.id, topic, answer)
    try {
      await client.publishAsync(topic, Buffer.from(answer), {
        qos: ANSWER_QOS,
        ...(options.protocolVersion === 5 ? { properties: about(entry) } : {}),
      })
    } catch (error) {
      if (error instanceof ErrorWithReasonCode) journal.refused(entry.id)
      else retry(journal.waiting(entry.id))
      throw error
    }
    journal.published(entry.id)
    log.info('message.answered', { id: entry.id, topic: entry.topic })
  }
  const pump = () => {
    while (running.size < concurrency && !signal.aborted) {
      const next = waiting.shift()
      if (next === undefined) return
      const job: Promise<void> = finish(next)
        .catch((error: unknown) => {
          if (!signal.aborted) log.error('message.failed', { id: next.id, cause: String(error) })
        })
        .finally(() => {
          running.delete(job)
          pump()
        })
      running.add(job)
    }
  }
  return {
    add(entry) {
      waiting.push(entry)
      pump()
    },
    async idle() {
      // What waits for a broker that is away is in the journal; nobody waits for it here.
      const limit = new Promise<void>((resolve) => setTimeout(resolve, 2_000).unref())
      await Promise.race([Promise.allSettled(running), limit])
    },
  }
}

function about({ id }: Entry) {
  return { contentType: 'application/json', userProperties: { 'message-id': id } }
}

/** The answer's body, or the error document of a request that will never be right. */
async function answerEntry(
  { endpoint, template }: BridgeOptions,
  { id, payload }: Entry,
  signal: AbortSignal,
): Promise<Uint8Array> {
  let body: unknown
  try {
    body = fillTemplate(template, payload)
  } catch (error) {
    return encodeProblem(error, id)
  }
  return new TextEncoder().encode((await askEndpoint(endpoint, { id, body }, signal)).body)
}

function encodeProblem(error: unknown, id: string): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(toProblem(error, id)))
}
