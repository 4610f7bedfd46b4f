/** The bridge's durable journal of unanswered messages. A message is acknowledged to the broker only after it is stored here. */
import { createHash, randomUUID } from 'node:crypto'
import type { IStore } from 'mqtt'
import { z } from 'zod'
import { AppError } from '#shared/base/errors.ts'
import { openDatabase } from './database.ts'
import { createOutgoing } from './outgoing.ts'

/** A message as the broker delivered it. */
export interface Delivery {
  readonly topic: string
  readonly payload: Uint8Array
  readonly packetId: number
  /** The broker may have sent it before. */
  readonly isRepeated: boolean
  /** The broker sends it again at each new subscription. */
  readonly isRetained: boolean
}

export interface Entry {
  /** Idempotency key of its request and message id of its answer. */
  readonly id: string
  readonly topic: string
  readonly payload: Uint8Array
  readonly answer: Uint8Array | null
}

export interface Journal {
  /** The open entries of an earlier run, read when the journal was opened; those with an answer are to be published. */
  readonly left: readonly Entry[]
  /** The client's packets on their way to the broker, so that a QoS 2 exchange continues after a crash. */
  readonly outgoing: IStore
  /**
   * Stores a delivery durably; null for a repetition of a known delivery, which is answered only once.
   * @param answerNow makes the answer of a message that is refused without a request; its payload is not kept
   * @throws {AppError} no_capacity when `maxWaiting` messages wait
   */
  note(delivery: Delivery, answerNow?: (id: string) => Uint8Array): Entry | null
  /** Keeps the answer, so that after a restart the bridge publishes it without asking again. */
  answered(id: string, answer: Uint8Array): void
  /** Announces that the next packet with these bytes on this topic is the entry's answer; `outgoing` then holds it. */
  publishing(id: string, topic: string, answer: Uint8Array): void
  /** The broker has received the answer. */
  published(id: string): void
  /** The broker refused the answer; the next run tries again. */
  refused(id: string): void
  /** The entry, as long as no packet holds its answer. */
  waiting(id: string): Entry | undefined
  close(): void
}

const Row = z.object({
  id: z.string(),
  topic: z.string(),
  payload: z.instanceof(Uint8Array),
  answer: z.instanceof(Uint8Array).nullable(),
})

/** The newest messages whose marks are remembered, to recognise repetitions. */
const REMEMBERED = 1_000_000

export interface JournalOptions {
  /** `:memory:` keeps nothing. */
  readonly path: string
  readonly maxWaiting: number
}

export function openJournal({ path, maxWaiting }: JournalOptions): Journal {
  const opened = openDatabase(path)
  const { database, sql } = opened
  const outgoing = createOutgoing(opened)
  sql.finishSent.run()
  return {
    // Read before a new message can be stored, so that `left` and `note` never report the same entry.
    left: z.array(Row).parse(sql.allOpen.all()),
    outgoing: outgoing.store,
    note(delivery, answerNow) {
      const { topic } = delivery
      const mark = markOf(delivery, delivery.packetId)
      // The broker reuses packet ids, so only a delivery that it marks as repeated can be a repetition.
      if (delivery.isRepeated && sql.findMark.get(mark) !== undefined) return null
      const content = markOf(delivery)
      if (delivery.isRetained && sql.touchContent.run(content).changes > 0) return null
      const { kept } = z.object({ kept: z.number() }).parse(sql.count.get())
      if (kept >= maxWaiting)
        throw new AppError('no_capacity', `${kept} messages wait for an answer already.`)
      const id = randomUUID()
      sql.forget.run(REMEMBERED)
      const answer = answerNow?.(id) ?? null
      const payload = answer === null ? delivery.payload : new Uint8Array()
      // One statement: after a crash no request may be made for a refused message.
      sql.insert.run(id, mark, content, topic, payload, answer)
      return { id, topic, payload, answer }
    },
    answered: (id, answer) => void sql.answer.run(answer, id),
    publishing: outgoing.expect,
    published: (id) => void sql.finish.run(id),
    refused: (id) => void sql.reopen.run(id),
    waiting: (id) => Row.optional().parse(sql.findOpen.get(id)),
    close: () => database.close(),
  }
}

function markOf({ topic, payload }: Delivery, packetId: number | '' = ''): string {
  return createHash('sha256').update(`${packetId}\0${topic}\0`).update(payload).digest('hex')
}
