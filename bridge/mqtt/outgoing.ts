/**
 * Packets on their way to the broker, on disk, as MQTT asks of a client whose session outlives it: after a crash the
 * exchange of a QoS 2 message goes on under its packet id, so that the broker knows the message and publishes it once.
 */
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import type { DatabaseSync } from 'node:sqlite'
import type { IStore } from 'mqtt'
import { z } from 'zod'

export interface Outgoing {
  readonly store: IStore
  /** The next packet of these bytes on this topic is that entry's answer. */
  readonly expect: (entry: string, topic: string, payload: Uint8Array) => void
}

const Row = z.object({
  packet_id: z.number(),
  topic: z.string().nullable(),
  payload: z.instanceof(Uint8Array).nullable(),
  properties: z.string().nullable(),
})

/** Of a packet what the store needs: the client gives publications and, once the broker has them, their releases. */
const Put = z.looseObject({
  cmd: z.enum(['publish', 'pubrel']),
  messageId: z.int(),
  topic: z.string().optional(),
  payload: z.instanceof(Uint8Array).optional(),
  properties: z.unknown().optional(),
})

/** Shares the journal's file: an answer leaves the journal and stands here in one step. */
export function createOutgoing(database: DatabaseSync): Outgoing {
  database.exec(`
    CREATE TABLE IF NOT EXISTS outgoing (
      seq INTEGER PRIMARY KEY AUTOINCREMENT, packet_id INTEGER NOT NULL UNIQUE, entry TEXT NOT NULL,
      topic TEXT, payload BLOB, properties TEXT
    );
  `)
  const insert = database.prepare(
    'INSERT OR REPLACE INTO outgoing (packet_id, entry, topic, payload, properties) VALUES (?, ?, ?, ?, ?)',
  )
  const sent = database.prepare("UPDATE messages SET state = 'sent' WHERE id = ?")
  const release = database.prepare(
    'UPDATE outgoing SET topic = NULL, payload = NULL, properties = NULL WHERE packet_id = ?',
  )
  const remove = database.prepare('DELETE FROM outgoing WHERE packet_id = ?')
  const find = database.prepare(
    'SELECT packet_id, topic, payload, properties FROM outgoing WHERE packet_id = ?',
  )
  const all = database.prepare(
    'SELECT packet_id, topic, payload, properties FROM outgoing ORDER BY seq',
  )
  /** By their bytes: two answers that are equal may stand for each other. */
  const expected = new Map<string, string[]>()

  const putPublication = ({ messageId, topic = '', payload, properties }: z.infer<typeof Put>) => {
    const bytes = payload ?? new Uint8Array()
    const key = keyOf(topic, bytes)
    const [entry = '', ...others] = expected.get(key) ?? []
    if (others.length === 0) expected.delete(key)
    else expected.set(key, others)
    database.exec('BEGIN IMMEDIATE')
    insert.run(messageId, entry, topic, bytes, JSON.stringify(properties ?? null))
    sent.run(entry)
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
      else release.run(read.messageId)
      done()
      return store
    },
    createStream: () =>
      Readable.from(all.all().map((row) => packetOf(row))) as ReturnType<IStore['createStream']>,
    del(packet, done) {
      const found = find.get(packet.messageId ?? 0)
      remove.run(packet.messageId ?? 0)
      return tell(found, done)
    },
    get: (packet, done) => tell(find.get(packet.messageId ?? 0), done),
    close: (done) => done(),
  }
  return {
    store,
    expect(entry, topic, payload) {
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
