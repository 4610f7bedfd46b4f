/**
 * Stores packets on their way to the broker, as MQTT requires of a client with a persistent session. After a crash a
 * QoS 2 exchange continues under its packet id, so that the broker publishes the message once.
 */
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import type { IStore } from 'mqtt'
import { z } from 'zod'
import type { BridgeDatabase } from './database.ts'

const Row = z.object({
  packet_id: z.number(),
  topic: z.string().nullable(),
  payload: z.instanceof(Uint8Array).nullable(),
  properties: z.string().nullable(),
})

/** The parts of a packet that the store needs. The client stores publications and, after PUBREC, their releases. */
const Put = z.looseObject({
  cmd: z.enum(['publish', 'pubrel']),
  messageId: z.int(),
  topic: z.string().optional(),
  payload: z.instanceof(Uint8Array).optional(),
  properties: z.unknown().optional(),
})

/** Uses the journal's file, so that one transaction moves an answer from the journal to the outgoing packets. */
export function createOutgoing({ database, sql }: BridgeDatabase) {
  /** Entries by the bytes of their answers; equal answers are interchangeable. */
  const expected = new Map<string, string[]>()

  const putPublication = ({ messageId, topic = '', payload, properties }: z.infer<typeof Put>) => {
    const bytes = payload ?? new Uint8Array()
    const key = keyOf(topic, bytes)
    const [entry = '', ...others] = expected.get(key) ?? []
    if (others.length === 0) expected.delete(key)
    else expected.set(key, others)
    database.exec('BEGIN IMMEDIATE')
    sql.putPacket.run(messageId, entry, topic, bytes, JSON.stringify(properties ?? null))
    sql.sent.run(entry)
    database.exec('COMMIT')
  }
  const tell = (row: unknown, done: Parameters<IStore['get']>[1]): IStore => {
    if (row === undefined) done(new Error('there is no such packet'))
    else done(undefined, packetOf(row))
    return store
  }
  const store: IStore = {
    put(packet, done) {
      const read = Put.parse(packet)
      if (read.cmd === 'publish') putPublication(read)
      else sql.releasePacket.run(read.messageId)
      done()
      return store
    },
    createStream: () =>
      Readable.from(sql.allPackets.all().map(packetOf)) as ReturnType<IStore['createStream']>,
    del(packet, done) {
      const found = sql.findPacket.get(packet.messageId ?? 0)
      sql.removePacket.run(packet.messageId ?? 0)
      return tell(found, done)
    },
    get: (packet, done) => tell(sql.findPacket.get(packet.messageId ?? 0), done),
    close: (done) => done(),
  }
  return {
    store,
    /** Announces that the next packet with these bytes on this topic is that entry's answer. */
    expect: (entry: string, topic: string, payload: Uint8Array) => {
      const key = keyOf(topic, payload)
      const entries = expected.get(key) ?? []
      if (!entries.includes(entry)) expected.set(key, [...entries, entry])
    },
  }
}

function packetOf(row: unknown) {
  const { packet_id: messageId, topic, payload, properties } = Row.parse(row)
  if (topic === null) return { cmd: 'pubrel' as const, qos: 2 as const, messageId }
  const about = JSON.parse(properties ?? 'null') as object | null
  return {
    cmd: 'publish' as const,
    messageId,
    topic,
    payload: Buffer.from(payload ?? []),
    qos: 2 as const,
    retain: false,
    dup: true,
    ...(about === null ? {} : { properties: about }),
  }
}

function keyOf(topic: string, payload: Uint8Array): string {
  return createHash('sha256').update(`${topic}\0`).update(payload).digest('hex')
}
