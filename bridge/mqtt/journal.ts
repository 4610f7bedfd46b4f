/** What the bridge has taken and not finished, on disk: a message is acknowledged to the broker only once it stands here. */
import { createHash, randomUUID } from 'node:crypto'
import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { IStore } from 'mqtt'
import { z } from 'zod'
import { AppError } from '#shared/base/errors.ts'
import { createOutgoing } from './outgoing.ts'

/** A message as the broker delivered it. */
export interface Delivery {
  readonly topic: string
  readonly payload: Uint8Array
  readonly packetId: number
  /** Whether the broker says that it may have sent it before. */
  readonly isRepeated: boolean
  /** Whether the broker keeps it for everybody who subscribes, so that it comes again at each start. */
  readonly isRetained: boolean
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
  /** What an earlier life left, as it was when the journal was opened: to be asked, or, with an answer, to be published. */
  readonly left: readonly Entry[]
  /** The client's packets on their way to the broker: with them a QoS 2 exchange goes on after a crash. */
  readonly outgoing: IStore
  /**
   * Notes a delivery durably; null when it is the repetition of one that is known, which is then answered once.
   * @param answerNow makes the answer of one that nobody is asked about: its bytes are not kept
   * @throws {AppError} no_capacity when as many messages wait as may
   */
  note(delivery: Delivery, answerNow?: (id: string) => Uint8Array): Entry | null
  /** Keeps the answer, so that a bridge that ends now publishes this one and asks for no other. */
  answered(id: string, answer: Uint8Array): void
  /** The next packet of these bytes on this topic is the entry's answer: from then on `outgoing` holds it. */
  publishing(id: string, topic: string, answer: Uint8Array): void
  /** The answer has reached the broker. */
  published(id: string): void
  /** The broker does not take the answer: it is tried again in the next life. */
  refused(id: string): void
  /** The entry as long as no packet holds its answer. */
  waiting(id: string): Entry | undefined
  close(): void
}

const Row = z.object({
  id: z.string(),
  topic: z.string(),
  payload: z.instanceof(Uint8Array),
  answer: z.instanceof(Uint8Array).nullable(),
})

/** Messages whose marks are remembered, to know what comes again: the newest ones. */
const REMEMBERED = 1_000_000

const TABLES = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  CREATE TABLE IF NOT EXISTS messages (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, mark TEXT NOT NULL, content TEXT NOT NULL,
    topic TEXT NOT NULL, payload BLOB NOT NULL, answer BLOB, state TEXT NOT NULL DEFAULT 'open'
  );
  CREATE INDEX IF NOT EXISTS messages_by_mark ON messages (mark);
  CREATE INDEX IF NOT EXISTS messages_by_content ON messages (content);
  CREATE INDEX IF NOT EXISTS messages_by_state ON messages (state) WHERE state <> 'done';
`
/** The bytes are no longer needed; the marks are, to know a repetition. */
const DONE = "state = 'done', answer = NULL, payload = x''"

export interface JournalOptions {
  /** `:memory:` keeps nothing. */
  readonly path: string
  readonly maxWaiting: number
}

export function openJournal({ path, maxWaiting }: JournalOptions): Journal {
  const database = openPrivate(path)
  database.exec(TABLES)
  const insert = database.prepare(
    'INSERT INTO messages (id, mark, content, topic, payload, answer) VALUES (?, ?, ?, ?, ?, ?)',
  )
  const findMark = database.prepare('SELECT id FROM messages WHERE mark = ? LIMIT 1')
  // It stays among the newest as long as the broker keeps it.
  const touchContent = database.prepare(
    'UPDATE messages SET seq = (SELECT max(seq) + 1 FROM messages) WHERE seq = (SELECT max(seq) FROM messages WHERE content = ?)',
  )
  const count = database.prepare("SELECT count(*) AS kept FROM messages WHERE state <> 'done'")
  const forget = database.prepare(
    "DELETE FROM messages WHERE state = 'done' AND seq <= (SELECT max(seq) FROM messages) - ?",
  )
  const keepAnswer = database.prepare('UPDATE messages SET answer = ? WHERE id = ?')
  const keepDone = database.prepare(`UPDATE messages SET ${DONE} WHERE id = ?`)
  const reopen = database.prepare("UPDATE messages SET state = 'open' WHERE id = ?")
  const outgoing = createOutgoing(database)
  // Handed over in an earlier life and no longer on its way: the broker has it.
  database.exec(
    `UPDATE messages SET ${DONE} WHERE state = 'sent' AND id NOT IN (SELECT entry FROM outgoing)`,
  )
  const waiting = "SELECT id, topic, payload, answer FROM messages WHERE state = 'open'"
  const open = database.prepare(`${waiting} ORDER BY seq`)
  const find = database.prepare(`${waiting} AND id = ?`)
  return {
    // Read before anything new can be noted: what comes from now on is told by `note` alone.
    left: z.array(Row).parse(open.all()),
    outgoing: outgoing.store,
    note(delivery, answerNow) {
      const { topic } = delivery
      const mark = markOf(delivery, delivery.packetId)
      // A packet id is given out again once it was acknowledged: only what the broker calls a repetition is one.
      if (delivery.isRepeated && findMark.get(mark) !== undefined) return null
      const content = markOf(delivery)
      if (delivery.isRetained && touchContent.run(content).changes > 0) return null
      const { kept } = z.object({ kept: z.number() }).parse(count.get())
      if (kept >= maxWaiting)
        throw new AppError('no_capacity', `${kept} messages wait for an answer already.`)
      const id = randomUUID()
      forget.run(REMEMBERED)
      const answer = answerNow?.(id) ?? null
      const payload = answer === null ? delivery.payload : new Uint8Array()
      // In one statement: what was refused must not be asked about after a crash.
      insert.run(id, mark, content, topic, payload, answer)
      return { id, topic, payload, answer }
    },
    answered: (id, answer) => void keepAnswer.run(answer, id),
    publishing: outgoing.expect,
    published: (id) => void keepDone.run(id),
    refused: (id) => void reopen.run(id),
    waiting: (id) => Row.optional().parse(find.get(id)),
    close: () => database.close(),
  }
}

/** The file holds messages and answers: for its owner alone, whatever the folder's mode. Its side files take the same mode. */
function openPrivate(path: string): DatabaseSync {
  if (path !== ':memory:') {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    closeSync(openSync(path, 'a', 0o600))
    chmodSync(path, 0o600)
  }
  return new DatabaseSync(path)
}

function markOf({ topic, payload }: Delivery, packetId: number | '' = ''): string {
  return createHash('sha256').update(`${packetId}\0${topic}\0`).update(payload).digest('hex')
}
