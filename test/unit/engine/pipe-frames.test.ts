/** The pipe between a node and its engine's process: messages as frames, however the stream is cut. */
import { describe, expect, test } from 'vitest'
import {
  COPIED_BYTES,
  createMessageDecoder,
  encodeMessage,
  type FrameKinds,
} from '#engine/remote/pipe-frames.ts'
import { createPipePort } from '#engine/remote/pipe-port.ts'
import { createRandom } from '#test/support/random.ts'

type Told =
  | {
      readonly type: 'run'
      readonly job: number
      readonly work: object
      readonly payload: Uint8Array
    }
  | { readonly type: 'cancel'; readonly job: number }
  | {
      readonly type: 'load'
      readonly call: number
      readonly paths: Readonly<Record<string, string>>
    }
  | { readonly type: 'setup'; readonly setup: object | null }

const KINDS: FrameKinds<Told> = {
  run: { code: 1, mostBytes: 200_000, number: 'job', bytes: 'payload' },
  cancel: { code: 2, mostBytes: 64, number: 'job' },
  load: { code: 3, mostBytes: 4_096, number: 'call' },
  setup: { code: 9, mostBytes: 4_096 },
}

const encode = (...messages: readonly Told[]) =>
  new Uint8Array(Buffer.concat(messages.flatMap((message) => encodeMessage<Told>(KINDS, message))))

function decodeAll(chunks: readonly Uint8Array[]): Told[] {
  const heard: Told[] = []
  const decoder = createMessageDecoder<Told>(KINDS)
  for (const chunk of chunks) decoder.push(chunk, (message) => heard.push(message))
  return heard
}

const whole = encode({ type: 'load', call: 7, paths: { a: 'b' } })
/** The same frame with another 32-bit number at this place. */
function withNumber(at: number, value: number): Uint8Array {
  const bytes = whole.slice()
  new DataView(bytes.buffer).setUint32(at, value)
  return bytes
}

describe('[G20] frames of the engine’s pipe', () => {
  test('messages come back the same, in order, wherever the stream is cut (50 seeds)', () => {
    for (let seed = 1; seed <= 50; seed += 1) {
      const random = createRandom(seed)
      const int = (bound: number) => random.below(bound)
      const pick = (of: readonly number[]) => of[int(of.length)] ?? 0
      const sizes = [0, 1, 1_000, COPIED_BYTES, COPIED_BYTES + 1, 100_000]
      const messages = Array.from({ length: 1 + int(12) }, (_, job): Told => {
        const kind = int(4)
        if (kind === 0)
          return {
            type: 'run',
            job,
            work: { größe: '☃'.repeat(int(9)) },
            payload: random.bytes(pick(sizes)),
          }
        if (kind === 1) return { type: 'cancel', job: 0xffff_ffff - job }
        if (kind === 2) return { type: 'load', call: job, paths: { [`p${job}`]: '/"\\\n' } }
        return { type: 'setup', setup: job % 2 === 0 ? null : { deep: [{ job }] } }
      })
      const stream = encode(...messages)
      const chunks: Uint8Array[] = []
      const most = pick([1, 7, 400, 65_536])
      for (let at = 0; at < stream.length;) {
        const size = 1 + int(most)
        chunks.push(stream.slice(at, at + size))
        at += size
      }
      expect(decodeAll(chunks), `seed ${seed}`).toEqual(messages)
    }
  })

  test('a frame has nine bytes before its body: length, kind, number', () => {
    const bytes = encode({ type: 'cancel', job: 0x01020304 })
    expect([...bytes]).toEqual([0, 0, 0, 6, 2, 1, 2, 3, 4, 0, 0, 0, 2, 0x7b, 0x7d])
  })

  test('large bytes are not copied', () => {
    const payload = new Uint8Array(COPIED_BYTES + 1)
    const chunks = encodeMessage(KINDS, { type: 'run', job: 1, work: {}, payload })
    expect(chunks[1]).toBe(payload)
  })

  test('a message over the bound of its kind is not sent', () => {
    const run = { type: 'run', job: 1, work: {}, payload: new Uint8Array(200_000) } as const
    expect(() => encode(run)).toThrow(/A run message of 200015 bytes is over the 200000 allowed/)
  })

  test.each([
    ['a length over the bound of its kind', withNumber(0, 4_097), 'too_large'],
    ['a length without room for its JSON’s length', withNumber(0, 3), 'internal'],
    ['an unknown kind', withNumber(4, 0x63_000000), 'internal'],
    ['JSON longer than the body', withNumber(9, 4_000), 'internal'],
    ['bytes behind the JSON of a kind without bytes', withNumber(9, 2), 'internal'],
    ['JSON that is none', whole.map((byte, at) => (at < 13 ? byte : 0xff)), 'internal'],
  ])('%s breaks the pipe, and no message comes of it', (_, bytes, code) => {
    expect(() => expect(decodeAll([bytes])).toEqual([])).toThrow(expect.objectContaining({ code }))
  })
})

describe('[G20] a port over a pipe', () => {
  test('what one tick says leaves in one write, in order', () => {
    const calls: string[] = []
    const written: Uint8Array[] = []
    const due: (() => void)[] = []
    const heard: Told[] = []
    const port = createPipePort<Told, Told>({
      sink: {
        writable: true,
        cork: () => void calls.push('cork'),
        write: (chunk) => void (calls.push('write'), written.push(chunk)),
        uncork: () => void calls.push('uncork'),
      },
      kinds: { sent: KINDS, heard: KINDS },
      onMessage: (message) => heard.push(message),
      soon: (flush) => due.push(flush),
    })
    const messages: Told[] = [1, 2, 3].map((job) => ({ type: 'cancel', job }))
    for (const message of messages) port.say(message)
    expect([due.length, calls]).toEqual([1, []])
    for (const flush of due.splice(0)) flush()
    expect(calls).toEqual(['cork', 'write', 'write', 'write', 'uncork'])
    port.say({ type: 'cancel', job: 4 })
    expect(due.length).toBe(1)
    port.flush()
    expect(calls.slice(5)).toEqual(['cork', 'write', 'uncork'])
    // What was flushed is not written again.
    for (const flush of due.splice(0)) flush()
    expect(calls.length).toBe(8)
    for (const chunk of written) port.hear(chunk)
    expect(heard).toEqual([...messages, { type: 'cancel', job: 4 }])
  })
})
