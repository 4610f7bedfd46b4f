/** Streamed answers over real work streams: what is sent early, what is billed, and the loss of a node. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Engine } from '#engine/engine.ts'
import { AppError } from '#shared/base/errors.ts'
import { encodeTextEvent, textUnits, type TextEvent } from '#shared/job/text.ts'
import type { DispatchRequest } from '#worker/protocols/hub.ts'
import { readStream, writeStream, type StreamedAnswer } from '#worker/protocols/stream-envelope.ts'
import {
  createHubBench,
  kernelRequest,
  TELLER,
  textRequest,
  type TestHubBench,
} from '#test/support/hub/hub.ts'
import { compiled, TENANT } from '#test/support/hub/policies.ts'
import { createTextEngine } from '#test/support/hub/text-engine.ts'
import { until } from '#test/support/poll.ts'

const WORLD = compiled({ compute: { allow: ['WORLD'], deny: [] } })
const payload = new TextEncoder().encode('{"prompt":"count"}')
const never = new AbortController().signal

const delta = (text: string): TextEvent => ({ type: 'delta', text, tokens: [text.length] })
const END: TextEvent = { type: 'end', finish: 'stop', promptTokens: 1 }

interface Writer extends Engine {
  /** Jobs that were stopped by their signal. */
  stopped: number
}

/** Writes these events one by one; awaits `pause` before each but the first. */
function writer(
  events: readonly TextEvent[],
  pause: (signal: AbortSignal) => Promise<unknown> = async () => {},
): Writer {
  const texts = createTextEngine([TELLER], async (write, signal) => {
    for (const [index, event] of events.entries()) {
      if (index > 0) await pause(signal)
      if (signal.aborted) {
        engine.stopped += 1
        throw new AppError('cancelled', 'stopped')
      }
      await write(event)
    }
  })
  const engine: Writer = { ...texts, stopped: 0 }
  return engine
}

const tell = (maxTokens = 8) => textRequest(WORLD, payload, { maxTokens, priceMicroUsd: 2 })

let hub: TestHubBench
beforeEach(async () => void (hub = await createHubBench()))
afterEach(() => hub.close())

async function start(
  request: DispatchRequest,
  signal = never,
  stallMs?: number,
): Promise<StreamedAnswer> {
  const response = await writeStream((sink) =>
    hub.dispatcher.stream(request, payload, { signal, sink }),
  )
  if (response.body === null) throw new Error('no body')
  return readStream(response.body, stallMs)
}

async function readAll(answer: StreamedAnswer): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of answer.chunks) text += decoder.decode(chunk, { stream: true })
  return text
}

describe('a streamed answer', () => {
  it('reaches the caller while the node still writes, and is billed by the text that arrived', async () => {
    const gate = Promise.withResolvers<void>()
    const events = [delta('one '), delta('two '), END]
    await hub.join({ country: 'DE', engine: writer(events, () => gate.promise) })
    const answer = await start(await tell())
    const chunks = answer.chunks[Symbol.asyncIterator]()
    const first = await chunks.next()
    expect(new TextDecoder().decode(first.value)).toContain('"one "')
    gate.resolve()
    const rest = await readAll({ ...answer, chunks: { [Symbol.asyncIterator]: () => chunks } })
    expect(rest).toBe(
      events
        .slice(1)
        .map((event) => `${JSON.stringify(event)}\n`)
        .join(''),
    )
    const outcome = await answer.outcome
    expect(outcome.units).toBe(textUnits(payload.length, 'one two '.length))
    expect(hub.outbox.document(TENANT, outcome.receiptId)?.receipt.receipt.units).toBe(
      outcome.units,
    )
  })

  it.each<[string, TextEvent[]]>([
    ['tokens without text', [delta('five5'), ...Array.from({ length: 496 }, () => delta('')), END]],
    ['a token for each letter', [{ type: 'delta', text: 'five5', tokens: [1, 2, 3, 4, 5] }, END]],
    ['no token at all', [{ type: 'delta', text: 'five5', tokens: [] }, END]],
    ['a piece for each letter', [...['f', 'i', 'v', 'e', '5'].map((letter) => delta(letter)), END]],
  ])('[O8] costs the same however it is written: %s', async (_, events) => {
    await hub.join({ country: 'DE', engine: writer(events) })
    const answer = await start(await tell(512))
    await readAll(answer)
    expect((await answer.outcome).units).toBe(Math.ceil(payload.length / 4) + 2)
  })

  it('[O8] costs at most what was asked for, however long its tokens are', async () => {
    await hub.join({ country: 'DE', engine: writer([delta('x'.repeat(400)), END]) })
    const request = await tell()
    const answer = await start(request)
    await readAll(answer)
    expect((await answer.outcome).units).toBe(request.units)
    expect(request.units).toBe(Math.ceil(payload.length / 4) + 8)
  })

  it('is answered by another node when the first is lost before its first byte', async () => {
    const started = Promise.withResolvers<void>()
    const dying = await hub.join({
      country: 'DE',
      engine: writer([END]),
      run: () => {
        started.resolve()
        return new Promise(() => {})
      },
    })
    const answer = tell().then((request) => start(request))
    await started.promise
    const spare = await hub.join({ country: 'FR', engine: writer([delta('here'), END]) })
    await dying.disconnect()
    expect((await answer).head.nodeId).toBe(spare.nodeId)
    expect(await readAll(await answer)).toContain('here')
  })

  it('ends with the error when the node is lost after its first byte, and no other node restarts it', async () => {
    const gate = new Promise<never>(() => {})
    const dying = await hub.join({
      country: 'DE',
      engine: writer([delta('half'), END], () => gate),
    })
    const answer = await start(await tell())
    const kept = await hub.join({ country: 'FR', engine: writer([delta('other'), END]) })
    const reading = readAll(answer)
    await dying.disconnect()
    await expect(reading).rejects.toMatchObject({ code: 'node_lost' })
    await expect(answer.outcome).rejects.toMatchObject({ code: 'node_lost' })
    expect(kept.ran).toEqual([])
    expect(hub.outbox.isEmpty()).toBe(true)
  })

  it('stops the node when its reader leaves', async () => {
    const engine = writer(
      [delta('a'), ...Array.from({ length: 6 }, () => delta('b')), END],
      (signal) => until('the job is stopped', () => signal.aborted),
    )
    await hub.join({ country: 'DE', engine })
    const caller = new AbortController()
    const answer = await start(await tell(), caller.signal)
    caller.abort()
    await expect(readAll(answer)).rejects.toMatchObject({ code: 'cancelled' })
    await until('the node stops', () => engine.stopped === 1)
    expect(hub.outbox.isEmpty()).toBe(true)
  })

  it.each([0, 1])(
    '[Q5] that is left unread after %i chunks is still settled, and given to nobody afterwards',
    async (chunksRead) => {
      await hub.join({ country: 'DE', engine: writer([delta('a'), delta('b'), delta('c'), END]) })
      const answer = await start(await tell(), never, 50)
      const chunks = answer.chunks[Symbol.asyncIterator]()
      for (let read = 0; read < chunksRead; read += 1) await chunks.next()
      const { units, receiptId } = await answer.outcome
      expect(units).toBe(textUnits(payload.length, 'abc'.length))
      expect(hub.outbox.document(TENANT, receiptId)).toBeDefined()
      await expect(chunks.next()).rejects.toMatchObject({ code: 'cancelled' })
    },
  )

  it('tells the hub when its reader leaves the loop', async () => {
    const left = Promise.withResolvers<void>()
    const gate = new Promise<never>(() => {})
    await hub.join({ country: 'DE', engine: writer([delta('a'), END], () => gate) })
    const request = await tell()
    const { body } = await writeStream((sink) =>
      hub.dispatcher.stream(request, payload, { signal: never, sink }),
    )
    if (body === null) throw new Error('no body')
    const seen = new TransformStream<Uint8Array, Uint8Array>()
    void body.pipeTo(seen.writable).catch(() => left.resolve())
    const answer = await readStream(seen.readable)
    for await (const _chunk of answer.chunks) break
    await left.promise
    await expect(answer.outcome).rejects.toMatchObject({ code: 'cancelled' })
  })

  it.each([
    ['more tokens than were asked for', 1],
    ['events after its end', 8],
  ])('with %s gets the node quarantined', async (_what, maxTokens) => {
    await hub.join({
      country: 'DE',
      engine: writer([delta('a'), END]),
      async run(_offer, _payload, next, emit) {
        if (maxTokens === 1) await emit(encodeTextEvent(delta('extra')))
        const result = await next()
        await emit(encodeTextEvent(delta('late')))
        return result
      },
    })
    const failed = tell(maxTokens)
      .then((request) => start(request))
      .then(readAll)
    await expect(failed).rejects.toMatchObject({ code: 'node_lost' })
    expect(hub.directory.describe()[0]?.quarantine).toContain('events')
    expect(hub.outbox.isEmpty()).toBe(true)
  })
})

describe('a deadline', () => {
  it('that the nearest node cannot meet is refused before any node has the job', async () => {
    const slow = await hub.join({ country: 'DE' })
    const member = hub.directory.get(slow.nodeId)
    const request = await kernelRequest(WORLD, payload, { timeoutMs: 50 })
    if (member !== undefined)
      hub.directory.recordService(member, request.work, { ms: 5_000, units: 3 })
    const refused = hub.dispatcher.dispatch(request, payload, never)
    await expect(refused).rejects.toMatchObject({ code: 'deadline_unmeetable' })
    expect(slow.ran).toEqual([])
  })
})

describe('a pinned job', () => {
  it('goes to its node even if another is nearer, and to no other when that node has left', async () => {
    await hub.join({ country: 'DE' })
    const pinned = await hub.join({ country: 'FR' })
    const request = await kernelRequest(WORLD, payload, {
      nodeId: pinned.nodeId as NonNullable<DispatchRequest['nodeId']>,
    })
    const { outcome } = await hub.dispatcher.dispatch(request, payload, never)
    expect(outcome.nodeId).toBe(pinned.nodeId)
    await pinned.disconnect()
    await until('the node is gone', () => hub.directory.size === 1)
    await expect(hub.dispatcher.dispatch(request, payload, never)).rejects.toMatchObject({
      code: 'no_capacity',
    })
  })
})

describe('the trace context of a request', () => {
  it('reaches the node with its job, on every attempt', async () => {
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
    const seen: (string | null)[] = []
    for (const country of ['DE', 'FR'])
      await hub.join({
        country,
        run: (offer, _payload, next) => {
          seen.push(offer.traceparent)
          if (seen.length === 1) throw new AppError('no_capacity', 'not now')
          return next()
        },
      })
    const { outcome } = await hub.ask(WORLD, payload, { traceparent })
    expect(outcome.attempts).toBe(2)
    expect(seen).toEqual([traceparent, traceparent])
  })
})
