/** The bridge's journal and templates. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
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

describe('the journal', () => {
  it('gives after a restart what was not answered, and the answer of what was not published', () => {
    const before = open()
    const asked = before.note(delivery())
    const answered = before.note(delivery({ packetId: 8 }))
    const done = before.note(delivery({ packetId: 9 }))
    if (asked === null || answered === null || done === null) throw new Error('taken for repeats')
    before.answered(answered.id, Uint8Array.of(1, 2))
    before.answered(done.id, Uint8Array.of(3))
    before.published(done.id)
    before.close()
    const after = open()
    const { left } = after
    expect(left.map(({ id }) => id)).toEqual([asked.id, answered.id])
    expect(left[0]).toMatchObject({ topic: 'sensors/1', answer: null })
    expect([...(left[1]?.answer ?? [])]).toEqual([1, 2])
    after.close()
  })

  it('knows a repetition by packet id and bytes, also after a restart and once it was answered', () => {
    const before = open()
    const first = before.note(delivery())
    if (first !== null) before.published(first.id)
    before.close()
    const after = open()
    expect(after.note(delivery({ isRepeated: true }))).toBeNull()
    expect(after.note(delivery({ isRepeated: true, packetId: 8 }))).not.toBeNull()
    after.close()
  })

  it('[MQ7] keeps of what is refused the answer and no bytes, in one step', () => {
    const before = open()
    const payload = new Uint8Array(1_000)
    const refused = before.note(delivery({ payload }), (id) => new TextEncoder().encode(id))
    before.close()
    const after = open()
    const [left] = after.left
    expect(left?.payload).toHaveLength(0)
    expect(new TextDecoder().decode(left?.answer ?? undefined)).toBe(refused?.id)
    expect(after.note(delivery({ payload, isRepeated: true }))).toBeNull()
    after.close()
  })

  it('takes equal bytes under a packet id that was given out again for a new message', () => {
    const journal = open()
    const first = journal.note(delivery())
    const second = journal.note(delivery())
    expect(second).not.toBeNull()
    expect(second?.id).not.toBe(first?.id)
    journal.close()
  })

  it('tells what an earlier life left as it was then, and not again what came since', () => {
    const before = open()
    const first = before.note(delivery())
    before.close()
    const after = open()
    after.note(delivery({ packetId: 8 }))
    expect(after.left.map(({ id }) => id)).toEqual([first?.id])
    after.close()
  })

  it('takes a retained message once for each content, however often it is handed over', () => {
    const before = open()
    expect(before.note(delivery())).not.toBeNull()
    before.close()
    const after = open()
    expect(after.note(delivery({ isRetained: true, packetId: 1 }))).toBeNull()
    const other = { payload: new TextEncoder().encode('cold'), isRetained: true }
    expect(after.note(delivery(other))).not.toBeNull()
    expect(after.note(delivery(other))).toBeNull()
    expect(after.note(delivery({ ...other, topic: 'sensors/2' }))).not.toBeNull()
    after.close()
  })

  it('is for its owner alone, also where its file was there before', () => {
    writeFileSync(path, '', { mode: 0o644 })
    const journal = open()
    journal.note(delivery())
    const files = readdirSync(dir).filter((name) => name.startsWith('mqtt.db'))
    for (const name of files) expect(statSync(join(dir, name)).mode & 0o777).toBe(0o600)
    journal.close()
  })

  it('takes no more than may wait', () => {
    const journal = open(2)
    journal.note(delivery())
    journal.note(delivery({ packetId: 8 }))
    expect(() => journal.note(delivery({ packetId: 9 }))).toThrow('2 messages wait')
    journal.close()
  })
})

describe('an answer on its way to the broker', () => {
  const topic = 'answers/1'
  const bytes = Uint8Array.of(1, 2)
  const packet = { cmd: 'publish' as const, messageId: 5, topic, payload: Buffer.from(bytes) }
  const publication = { ...packet, qos: 2 as const, retain: false, dup: false }
  const resent = async (journal: Journal) => {
    const packets: unknown[] = []
    for await (const each of journal.outgoing.createStream()) packets.push(each)
    return packets
  }
  /** Asked, answered, and in a packet of the client's. */
  function sent(): Journal {
    const journal = open()
    const { id } = journal.note(delivery()) ?? { id: '' }
    journal.answered(id, bytes)
    journal.publishing(id, topic, bytes)
    journal.outgoing.put(publication, () => {})
    return journal
  }

  it('goes on after a crash as the packet that it was, and is not published anew', async () => {
    sent().close()
    const after = open()
    expect(after.left).toEqual([])
    expect(await resent(after)).toEqual([{ ...publication, dup: true }])
    after.outgoing.put({ cmd: 'pubrel', messageId: 5 }, () => {})
    after.close()
    const last = open()
    expect(await resent(last)).toEqual([{ cmd: 'pubrel', qos: 2, messageId: 5 }])
    last.outgoing.del({ messageId: 5 }, () => {})
    last.close()
    const none = open()
    expect(none.left).toEqual([])
    expect(await resent(none)).toEqual([])
    none.close()
  })

  it('is published in the next life when the broker refused it, or no packet held it yet', () => {
    const before = sent()
    const [{ id } = { id: '' }] = [before.note(delivery({ packetId: 8 }))].flatMap((e) => e ?? [])
    before.answered(id, bytes)
    before.publishing(id, topic, bytes)
    expect(before.waiting(id)).toMatchObject({ id })
    before.close()
    const after = open()
    expect(after.left.map((entry) => entry.id)).toEqual([id])
    after.close()
  })
})

describe('a template', () => {
  const payload = new TextEncoder().encode('{"temp": 88}')

  it('puts the payload where it is named, at any depth, and leaves the rest', () => {
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
  ])('that wants %s refuses other bytes', (template, bytes, word) => {
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
    [['--body', '{}', '--ca', 'nowhere.pem'], '--ca nowhere.pem is not there'],
  ])('refuses %j by name, in one line that says where the options are told', (more, word) => {
    expect(() => parseOptions([...args, ...more], env)).toThrow(word)
    expect(() => parseOptions([...args, ...more], env)).toThrow(
      /^[^\n]*; npm run mqtt -- --help says more$/,
    )
  })
})

describe('answers that could come back as messages', () => {
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
