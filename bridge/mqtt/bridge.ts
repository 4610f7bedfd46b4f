/** Sends each message of an MQTT topic to the endpoint once and publishes its answer once, through all failures. */
import { connect, ErrorWithReasonCode, type IPublishPacket, type MqttClient } from 'mqtt'
import { AppError, toAppError, toProblem } from '#shared/base/errors.ts'
import { MIB } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import type { MqttOptions } from './config.ts'
import { askEndpoint } from './endpoint.ts'
import type { Delivery, Entry, Journal } from './journal.ts'
import { answerTopic, fillTemplate } from './request.ts'

/** Largest message that is forwarded. A larger one gets an error. */
export const MQTT_PAYLOAD_BYTES = 8 * MIB
/** Largest packet that an MQTT 5 broker may send at all. */
const MQTT_PACKET_BYTES = 64 * MIB

export interface BridgeOptions extends MqttOptions {
  readonly journal: Journal
  readonly log: Log
}

const RECONNECT_MS = 1_000
/** MQTT 5 only: the broker does not deliver larger packets. */
const SESSION = {
  sessionExpiryInterval: 0xffff_fffe,
  maximumPacketSize: MQTT_PACKET_BYTES,
}
/** Exactly-once delivery between bridge and broker. */
const ANSWER_QOS = 2

export async function startBridge(options: BridgeOptions) {
  const { broker, username, password, ca, from, journal, log } = options
  const isVersion5 = options['mqtt-version'] === '5'
  const ended = new AbortController()
  const client = connect(broker, {
    clientId: options['client-id'],
    clean: false,
    protocolVersion: isVersion5 ? 5 : 4,
    // MQTT 5 sets the lifetime of a session in seconds; earlier versions only have `clean`.
    ...(isVersion5 ? { properties: SESSION } : {}),
    reconnectPeriod: RECONNECT_MS,
    resubscribe: true,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(ca === undefined ? {} : { ca }),
    ...options.certificate,
    outgoingStore: journal.outgoing,
  })
  const work = createWorkers(options, client, ended.signal)
  // Set before the client connects: a broker that kept this session sends its messages at once.
  client.handleMessage = (packet, acknowledge) => {
    const { topic } = packet
    try {
      const delivery = deliveryOf(packet)
      const entry = journal.note(delivery, refusalOf(delivery.payload.length))
      if (entry === null) log.info('message.repeated', { topic })
      else work.add(entry)
      // The message is on disk now. The broker need not keep it until it is answered.
      acknowledge()
    } catch (cause) {
      // Without an acknowledgement the broker keeps the message and sends it again after the next connect.
      log.error('message.not-taken', { topic, cause: toAppError(cause).detail })
      acknowledge(cause instanceof Error ? cause : new Error(String(cause)))
    }
  }
  for (const left of journal.left) work.add(left)
  await firstConnection(client)
  client.on('reconnect', () => log.info('broker.reconnecting', {}))
  client.on('error', (error) => log.warn('broker.failed', { cause: error.message }))
  await client.subscribeAsync(from, { qos: 1 })
  log.info('bridge.started', { from })
  return {
    /** Takes no more messages; unfinished ones stay in the journal for the next start. */
    async close() {
      ended.abort(new Error('the bridge was closed'))
      await work.idle()
      await client.endAsync()
    },
  }
}

/** @throws the error of the first connection; later connections are retried without end */
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

function deliveryOf({ topic, payload, messageId = 0, dup, retain }: IPublishPacket): Delivery {
  return {
    topic,
    payload: typeof payload === 'string' ? Buffer.from(payload) : payload,
    packetId: messageId,
    isRepeated: dup,
    isRetained: retain,
  }
}

/** Answers a message that is too large without a request. */
function refusalOf(sizeBytes: number): ((id: string) => Uint8Array) | undefined {
  const most = MQTT_PAYLOAD_BYTES
  if (sizeBytes <= most) return undefined
  const detail = `The message has ${sizeBytes} bytes, at most ${most} are allowed: send smaller messages.`
  return (id) => encodeProblem(new AppError('too_large', detail), id)
}

/** Runs entries in order of arrival, up to `concurrency` at once. */
function createWorkers(options: BridgeOptions, client: MqttClient, signal: AbortSignal) {
  const { concurrency, journal, log } = options
  const waiting: Entry[] = []
  const running = new Set<Promise<void>>()

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
        ...(options['mqtt-version'] === '5' ? { properties: about(entry) } : {}),
      })
    } catch (error) {
      if (error instanceof ErrorWithReasonCode) journal.refused(entry.id)
      else {
        // The connection may have been lost before a packet held the answer.
        const unsent = journal.waiting(entry.id)
        if (unsent !== undefined) waiting.push(unsent)
      }
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
    add(entry: Entry) {
      waiting.push(entry)
      pump()
    },
    async idle() {
      // Answers that wait for a broker that is away are in the journal, so the wait can be short.
      const limit = new Promise<void>((resolve) => setTimeout(resolve, 2_000).unref())
      await Promise.race([Promise.allSettled(running), limit])
    },
  }
}

function about({ id }: Entry) {
  return { contentType: 'application/json', userProperties: { 'message-id': id } }
}

/** Gives the answer's body, or the error document of a message that does not fit the template. */
async function answerEntry(
  options: BridgeOptions,
  { id, payload }: Entry,
  signal: AbortSignal,
): Promise<Uint8Array> {
  let body: unknown
  try {
    body = fillTemplate(options.template, payload)
  } catch (error) {
    return encodeProblem(error, id)
  }
  return new TextEncoder().encode(await askEndpoint(options, { id, body }, signal))
}

function encodeProblem(error: unknown, id: string): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(toProblem(error, id)))
}
