/** The bridge's journal, templates and command line. */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseOptions } from '#bridge/mqtt/config.ts'
import { openJournal, type Delivery, type Journal } from '#bridge/mqtt/journal.ts'
import { answerTopic, canLoop, fillTemplate } from '#bridge/mqtt/request.ts'

const dir = mkdtempSync(join(tmpdir(), 'littoral-journal-'))
beforeEach(() => mkdirSync(dir, { recursive: true }))
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const path = join(dir, 'mqtt.db')
const open = (maxWaiting = 10) => openJournal({ path, maxWaiting })
const delivery = (change: Partial<Delivery> = {}): Delivery => ({
  topic: 'sensors/1',
  payload: new TextEncoder().encode('hot'),
  packetId: 7,
  isRepeated: false,
  isRetained: false,
  ...change,
})

let journal: Journal
beforeEach(() => (journal = open()))
afterEach(() => journal.close())
/** Closes the journal and opens it again, as a restart of the bridge does. */
const restart = () => {
  journal.close()
  journal = open()
}
/** Notes a delivery that is no repetition. */
const note = (change: Partial<Delivery> = {}) => {
  const entry = journal.note(delivery(change))
  if (entry === null) throw new Error('taken for a repetition')
  return entry
}

describe('the journal', () => {
  it('returns after a restart what was not answered, and the answers that were not published', () => {
    const asked = note()
    const answered = note({ packetId: 8 })
    const done = note({ packetId: 9 })
    journal.answered(answered.id, Uint8Array.of(1, 2))
    journal.answered(done.id, Uint8Array.of(3))
    journal.published(done.id)
    restart()
    const { left } = journal
    expect(left.map(({ id }) => id)).toEqual([asked.id, answered.id])
    expect(left[0]).toMatchObject({ topic: 'sensors/1', answer: null })
    expect([...(left[1]?.answer ?? [])]).toEqual([1, 2])
    note({ packetId: 10 })
    expect(left).toHaveLength(2)
  })

  it('recognises a repetition by packet id and bytes, also after a restart and after the answer', () => {
    journal.published(note().id)
    restart()
    expect(journal.note(delivery({ isRepeated: true }))).toBeNull()
    expect(journal.note(delivery({ isRepeated: true, packetId: 8 }))).not.toBeNull()
  })

  it('[MQ7] keeps only the answer of a refused message, in one step', () => {
    const payload = new Uint8Array(1_000)
    const refused = journal.note(delivery({ payload }), (id) => new TextEncoder().encode(id))
    restart()
    const [left] = journal.left
    expect(left?.payload).toHaveLength(0)
    expect(new TextDecoder().decode(left?.answer ?? undefined)).toBe(refused?.id)
    expect(journal.note(delivery({ payload, isRepeated: true }))).toBeNull()
  })

  it('takes equal bytes under a reused packet id for a new message', () => {
    expect(note().id).not.toBe(note().id)
  })

  it('takes a retained message once for each content, however often it is delivered', () => {
    note()
    restart()
    expect(journal.note(delivery({ isRetained: true, packetId: 1 }))).toBeNull()
    const other = { payload: new TextEncoder().encode('cold'), isRetained: true }
    note(other)
    expect(journal.note(delivery(other))).toBeNull()
    note({ ...other, topic: 'sensors/2' })
  })

  it('is readable only by its owner, also where its file existed before', () => {
    journal.close()
    chmodSync(path, 0o644)
    journal = open()
    note()
    const files = readdirSync(dir).filter((name) => name.startsWith('mqtt.db'))
    for (const name of files) expect(statSync(join(dir, name)).mode & 0o777).toBe(0o600)
  })

  it('takes no more messages than may wait', () => {
    journal.close()
    journal = open(1)
    note()
    expect(() => note({ packetId: 8 })).toThrow('1 messages wait')
  })
})

describe('an answer on its way to the broker', () => {
  const topic = 'answers/1'
  const bytes = Uint8Array.of(1, 2)
  const packet = { cmd: 'publish' as const, messageId: 5, topic, payload: Buffer.from(bytes) }
  const publication = { ...packet, qos: 2 as const, retain: false, dup: false }
  const resent = async () => {
    const packets: unknown[] = []
    for await (const each of journal.outgoing.createStream()) packets.push(each)
    return packets
  }
  const answer = (packetId: number) => {
    const { id } = note({ packetId })
    journal.answered(id, bytes)
    journal.publishing(id, topic, bytes)
    return id
  }
  beforeEach(() => {
    answer(7)
    journal.outgoing.put(publication, () => {})
  })

  it('continues after a crash as the same packet, and is not published again', async () => {
    restart()
    expect(journal.left).toEqual([])
    expect(await resent()).toEqual([{ ...publication, dup: true }])
    journal.outgoing.put({ cmd: 'pubrel', messageId: 5 }, () => {})
    restart()
    expect(await resent()).toEqual([{ cmd: 'pubrel', qos: 2, messageId: 5 }])
    journal.outgoing.del({ messageId: 5 }, () => {})
    restart()
    expect(journal.left).toEqual([])
    expect(await resent()).toEqual([])
  })

  it('is published after a restart when no packet held it yet', () => {
    const id = answer(8)
    expect(journal.waiting(id)).toMatchObject({ id })
    restart()
    expect(journal.left.map((entry) => entry.id)).toEqual([id])
  })
})

describe('a template', () => {
  const payload = new TextEncoder().encode('{"temp": 88}')

  it('replaces placeholders by the payload at any depth, and nothing else', () => {
    const template = { a: ['$text', { b: '$json' }], c: '$base64', d: 'not $text', e: 1, f: null }
    expect(fillTemplate(template, payload)).toEqual({
      a: ['{"temp": 88}', { b: { temp: 88 } }],
      c: 'eyJ0ZW1wIjogODh9',
      d: 'not $text',
      e: 1,
      f: null,
    })
  })

  it.each([
    ['$text', Uint8Array.of(0xff), 'UTF-8'],
    ['$json', new TextEncoder().encode('{'), 'JSON'],
  ])('with %s refuses other bytes', (template, bytes, word) => {
    expect(() => fillTemplate(template, bytes)).toThrow(word)
  })

  it('names the answer topic after the message', () => {
    expect(answerTopic('answers/{topic}', 'sensors/1')).toBe('answers/sensors/1')
  })
})

describe('the command line', () => {
  const args = ['--broker', 'mqtt://h', '--from', 'a/#', '--url', 'http://h', '--path', '/v1/x']
  const env = { LITTORAL_API_KEY: 'k' }

  it('reads the request and the key', () => {
    const options = parseOptions([...args, '--body', '{"input":"$text"}'], env)
    expect(options).toMatchObject({
      key: 'k',
      to: 'littoral/{topic}',
      template: { input: '$text' },
    })
  })

  it.each([
    [['--body', '{'], '--body is not JSON'],
    [['--body', '{}', '--to', 'a/+'], '--to a/+'],
    [['--body', '{}', '--to', '{topic}/answers'], 'takes these answers as messages again'],
    [['--body', '{}', '--concurrency', '0'], '--concurrency'],
    [['--body', '{}', '--nonsense', '0'], 'nonsense'],
    [['--body', '{}', '--cert', 'a.pem'], '--cert-key'],
    [['--body', '{}', '--ca', 'nowhere.pem'], '--ca nowhere.pem does not exist'],
  ])('refuses %j by name, in one line that refers to --help', (more, word) => {
    expect(() => parseOptions([...args, ...more], env)).toThrow(word)
    expect(() => parseOptions([...args, ...more], env)).toThrow(
      /^[^\n]*; npm run mqtt -- --help says more$/,
    )
  })
})

describe('answers that could arrive as messages', () => {
  it.each([
    ['#', 'littoral/{topic}', true],
    ['sensors/#', 'sensors/answers', true],
    ['sensors/#', 'sensors', true],
    ['+/text', 'answers/text', true],
    ['$share/group/sensors/#', '{topic}/answer', true],
    ['sensors/+/text', 'answers/{topic}', false],
    ['+/text', 'answers/{topic}', false],
    ['a/#', 'littoral/{topic}', false],
    ['sensors/+', '{topic}/answer', false],
  ])('--from %s --to %s: %s', (from, to, isLoop) => {
    expect(canLoop(from, to)).toBe(isLoop)
  })
})
