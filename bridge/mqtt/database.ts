/** The bridge's SQLite file: its tables, and every statement that the journal and the outgoing packets use. */
import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'

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
  CREATE TABLE IF NOT EXISTS outgoing (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, packet_id INTEGER NOT NULL UNIQUE, entry TEXT NOT NULL,
    topic TEXT, payload BLOB, properties TEXT
  );
`
/** A finished message needs no bytes any more; its marks stay, to recognise a repetition. */
const DONE = "state = 'done', answer = NULL, payload = x''"
const OPEN = "SELECT id, topic, payload, answer FROM messages WHERE state = 'open'"
const PACKETS = 'SELECT packet_id, topic, payload, properties FROM outgoing'

const STATEMENTS = {
  insert:
    'INSERT INTO messages (id, mark, content, topic, payload, answer) VALUES (?, ?, ?, ?, ?, ?)',
  findMark: 'SELECT id FROM messages WHERE mark = ? LIMIT 1',
  // Keeps a retained message among the newest for as long as the broker sends it.
  touchContent:
    'UPDATE messages SET seq = (SELECT max(seq) + 1 FROM messages) WHERE seq = (SELECT max(seq) FROM messages WHERE content = ?)',
  count: "SELECT count(*) AS kept FROM messages WHERE state <> 'done'",
  forget:
    "DELETE FROM messages WHERE state = 'done' AND seq <= (SELECT max(seq) FROM messages) - ?",
  answer: 'UPDATE messages SET answer = ? WHERE id = ?',
  finish: `UPDATE messages SET ${DONE} WHERE id = ?`,
  // The broker has every message that was sent in an earlier run and has no packet any more.
  finishSent: `UPDATE messages SET ${DONE} WHERE state = 'sent' AND id NOT IN (SELECT entry FROM outgoing)`,
  reopen: "UPDATE messages SET state = 'open' WHERE id = ?",
  sent: "UPDATE messages SET state = 'sent' WHERE id = ?",
  allOpen: `${OPEN} ORDER BY seq`,
  findOpen: `${OPEN} AND id = ?`,
  putPacket:
    'INSERT OR REPLACE INTO outgoing (packet_id, entry, topic, payload, properties) VALUES (?, ?, ?, ?, ?)',
  releasePacket:
    'UPDATE outgoing SET topic = NULL, payload = NULL, properties = NULL WHERE packet_id = ?',
  removePacket: 'DELETE FROM outgoing WHERE packet_id = ?',
  findPacket: `${PACKETS} WHERE packet_id = ?`,
  allPackets: `${PACKETS} ORDER BY seq`,
} as const

export interface BridgeDatabase {
  readonly database: DatabaseSync
  readonly sql: Readonly<Record<keyof typeof STATEMENTS, StatementSync>>
}

/** @param path `:memory:` keeps nothing */
export function openDatabase(path: string): BridgeDatabase {
  if (path !== ':memory:') {
    // The file holds messages and answers, so only its owner may read it. SQLite's side files get the same mode.
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    closeSync(openSync(path, 'a', 0o600))
    chmodSync(path, 0o600)
  }
  const database = new DatabaseSync(path)
  database.exec(TABLES)
  const prepared = Object.entries(STATEMENTS).map(([name, sql]) => [name, database.prepare(sql)])
  return { database, sql: Object.fromEntries(prepared) as BridgeDatabase['sql'] }
}
