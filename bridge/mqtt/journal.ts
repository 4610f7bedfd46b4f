/** What the bridge has taken and not finished, on disk: a message is acknowledged to the broker only once it stands here. */
import { createHash, randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { AppError } from '#shared/errors.ts'

/** A message as the broker delivered it. */
export interface Delivery {
  readonly topic: string
  readonly payload: Uint8Array
  readonly packetId: number
  /** Whether the broker says that it may have sent it before. */
  readonly isRepeated: boolean
}

export interface Entry {
  /** Idempotency key of its request and message id of its answer. */
  readonly id: string
  readonly topic: string
  readonly payload: Uint8Array
  /** Null until there is one. */
  readonly answer: Uint8Array | null
}

export interface Journal {
  /**
   * Notes a delivery durably; null when it is the repetition of one that is known, which is then answered once.
   * @param answerNow makes the answer of one that nobody is asked about: its bytes are not kept
   * @throws {AppError} no_capacity when as many messages wait as may
   */
  note(delivery: Delivery, answerNow?: (id: string) => Uint8Array): Entry | null
  /** Keeps the answer, so that a bridge that ends now publishes this one and asks for no other. */
  answered(id: string, answer: Uint8Array): void
  /** The answer has reached the broker. */
  published(id: string): void
  /** What an earlier life left: to be asked, or, with an answer, to be published. */
  unfinished(): Entry[]
  close(): void
}

const Row = z.object({
  id: z.string(),
  topic: z.string(),
  payload: z.instanceof(Uint8Array),
  answer: z.instanceof(Uint8Array).nullable(),
})

/** As long as a broker may hold a session whose acknowledgement it did not get. */
const REMEMBERED_MS = 24 * 3_600_000

export interface JournalOptions {
  /** `:memory:` keeps nothing. */
  readonly path: string
  readonly maxWaiting: number
  readonly nowMs: () => number
}

export function openJournal({ path, maxWaiting, nowMs }: JournalOptions): Journal {
  if (path !== ':memory:') mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const database = new DatabaseSync(path)
  database.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    CREATE TABLE IF NOT EXISTS messages (
      id TEXT PRIMARY KEY, mark TEXT NOT NULL, topic TEXT NOT NULL, payload BLOB NOT NULL,
      answer BLOB, published INTEGER NOT NULL DEFAULT 0, at_ms INTEGER NOT NULL
    );
    CREATE INDEX IF NOT EXISTS messages_by_mark ON messages (mark, at_ms);
    CREATE INDEX IF NOT EXISTS messages_by_state ON messages (published, at_ms);
  `)
  const insert = database.prepare(
    'INSERT INTO messages (id, mark, topic, payload, answer, at_ms) VALUES (?, ?, ?, ?, ?, ?)',
  )
  const find = database.prepare('SELECT id FROM messages WHERE mark = ? LIMIT 1')
  const count = database.prepare('SELECT count(*) AS waiting FROM messages WHERE published = 0')
  const forget = database.prepare('DELETE FROM messages WHERE published = 1 AND at_ms < ?')
  const keepAnswer = database.prepare('UPDATE messages SET answer = ? WHERE id = ?')
  const keepPublished = database.prepare(
    // The bytes are no longer needed; the mark is, to know a repetition.
    "UPDATE messages SET published = 1, answer = NULL, payload = x'' WHERE id = ?",
  )
  const open = database.prepare(
    'SELECT id, topic, payload, answer FROM messages WHERE published = 0 ORDER BY at_ms, rowid',
  )
  return {
    note(delivery, answerNow) {
      const mark = markOf(delivery)
      // A packet id is given out again once it was acknowledged: only what the broker calls a repetition is one.
      if (delivery.isRepeated && find.get(mark) !== undefined) return null
      const { waiting } = z.object({ waiting: z.number() }).parse(count.get())
      if (waiting >= maxWaiting)
        throw new AppError('no_capacity', `${waiting} messages wait for an answer already.`)
      const id = randomUUID()
      forget.run(nowMs() - REMEMBERED_MS)
      const { topic } = delivery
      const answer = answerNow?.(id) ?? null
      const payload = answer === null ? delivery.payload : new Uint8Array()
      // In one statement: what was refused must not be asked about after a crash.
      insert.run(id, mark, topic, payload, answer, nowMs())
      return { id, topic, payload, answer }
    },
    answered: (id, answer) => void keepAnswer.run(answer, id),
    published: (id) => void keepPublished.run(id),
    unfinished: () => z.array(Row).parse(open.all()),
    close: () => database.close(),
  }
}

function markOf({ topic, payload, packetId }: Delivery): string {
  return createHash('sha256').update(`${packetId}\0${topic}\0`).update(payload).digest('hex')
}
