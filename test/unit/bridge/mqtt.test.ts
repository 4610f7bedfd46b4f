/** The bridge's journal and templates. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { parseOptions } from '#bridge/mqtt/config.ts'
import { openJournal, type Delivery } from '#bridge/mqtt/journal.ts'
import { answerTopic, canLoop, fillTemplate } from '#bridge/mqtt/request.ts'

const dir = mkdtempSync(join(tmpdir(), 'littoral-journal-'))
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const open = (maxWaiting = 10, nowMs = () => 1) =>
  openJournal({ path: join(dir, 'mqtt.db'), maxWaiting, nowMs })
const delivery = (change: Partial<Delivery> = {}): Delivery => ({
  topic: 'sensors/1',
  payload: new TextEncoder().encode('hot'),
  packetId: 7,
  isRepeated: false,
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
    const left = after.unfinished()
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
    const [left] = after.unfinished()
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

  it('takes no more than may wait', () => {
    const journal = open(2)
    journal.note(delivery())
    journal.note(delivery({ packetId: 8 }))
    expect(() => journal.note(delivery({ packetId: 9 }))).toThrow('2 messages wait')
    journal.close()
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
  ])('refuses %j by name, with the usage', (more, word) => {
    expect(() => parseOptions([...args, ...more], env)).toThrow(word)
    expect(() => parseOptions([...args, ...more], env)).toThrow('--broker URL')
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
