/** Parts of text generation without a model: held-back text, sampling, templates, events. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { createChatTemplate, CHAT_TEMPLATE_BYTES } from '#engine/models/text/chat-template.ts'
import { argmax, createRandom, likelihoods, sampleToken } from '#engine/models/text/sample.ts'
import { createSender } from '#engine/models/text/sender.ts'
import { createTextOut } from '#engine/models/text/text-out.ts'
import { createVocabulary } from '#engine/models/text/vocabulary.ts'
import { repositoryPath } from '#scripts/base/paths.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { createTextMeter } from '#shared/job/text-meter.ts'
import { createFakeClock } from './fake-clock.ts'

const bytesOf = (text: string) => new TextEncoder().encode(text)

describe('streamed text', () => {
  test('[G14] holds back half a character', () => {
    const out = createTextOut([])
    const [a, b, c, d] = bytesOf('🙂')
    expect(out.push(Uint8Array.of(a ?? 0, b ?? 0))).toBe('')
    expect(out.push(Uint8Array.of(c ?? 0))).toBe('')
    expect(out.push(Uint8Array.of(d ?? 0, 0x21))).toBe('🙂!')
    expect(out.push(Uint8Array.of(0xe2, 0x82))).toBe('')
    expect(out.finish()).toBe('')
  })

  test('[G14] holds back a possible stop sequence until it is ruled out', () => {
    const out = createTextOut(['\n\nUser:', 'END'])
    expect(out.push(bytesOf('a\n'))).toBe('a')
    expect(out.push(bytesOf('\nUs'))).toBe('')
    expect(out.push(bytesOf('b EN'))).toBe('\n\nUsb ')
    expect(out.isStopped).toBe(false)
    expect(out.push(bytesOf('D of it'))).toBe('')
    expect(out.isStopped).toBe(true)
    expect(out.push(bytesOf('more'))).toBe('')
    expect(out.finish()).toBe('')
  })

  test('releases held-back text at the end', () => {
    const out = createTextOut(['STOP'])
    expect(out.push(bytesOf('do not STO'))).toBe('do not ')
    expect(out.finish()).toBe('STO')
  })

  test('ends at the first of several stop sequences', () => {
    const out = createTextOut(['later', 'ate'])
    expect(out.push(bytesOf('see you later'))).toBe('see you ')
  })
})

describe('the next token', () => {
  const logits = Float32Array.of(1, 3, 2, -Infinity)
  const drawMany = (temperature: number, topP: number, mask?: Uint32Array) => {
    const random = createRandom(4)
    const counts = [0, 0, 0, 0]
    for (let i = 0; i < 4_000; i++) {
      const id = sampleToken(logits, { temperature, topP, random }, mask)
      counts[id] = (counts[id] ?? 0) + 1
    }
    return counts.map((count) => count / 4_000)
  }

  test('is drawn as often as its probability demands', () => {
    const weights = [1, 3, 2].map(Math.exp)
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    for (const [id, share] of drawMany(1, 1).entries())
      expect(Math.abs(share - (weights[id] ?? 0) / total)).toBeLessThan(0.03)
  })

  test('is one of the fewest that reach top-p, and always an allowed one', () => {
    expect(drawMany(1, 0.5)).toEqual([0, 1, 0, 0])
    const [first, second, third] = drawMany(1, 0.9)
    expect(first).toBe(0)
    expect(second).toBeGreaterThan(third ?? 1)
    expect(third).toBeGreaterThan(0.1)
    expect(drawMany(2, 1, Uint32Array.of(0b1001))).toEqual([1, 0, 0, 0])
    expect(argmax(logits, Uint32Array.of(0b0101))).toBe(2)
  })

  test('is an error when no logit is a number', () => {
    expect(() => argmax(Float32Array.of(NaN, NaN))).toThrow(/finite/)
    expect(() => argmax(Float32Array.of(1, Infinity))).toThrow(/finite/)
    expect(() => argmax(logits, Uint32Array.of(0))).toThrow(/finite/)
  })

  test('has probabilities that sum to one, with a lower bound on each', () => {
    const likely = likelihoods(logits, 3)
    expect(likely.top).toEqual([1, 2, 0])
    expect([0, 1, 2].reduce((sum, id) => sum + Math.exp(likely.of(id)), 0)).toBeCloseTo(1, 6)
    expect(likely.of(3)).toBe(-9_999)
  })

  test('comes from a stream that depends on all of the seed', () => {
    const take = (seed: number) => {
      const random = createRandom(seed)
      return [random(), random(), random()]
    }
    expect(take(5)).toEqual(take(5))
    expect(take(5)).not.toEqual(take(6))
    expect(take(5)).not.toEqual(take(5 + 2 ** 32))
    expect(take(Number.MAX_SAFE_INTEGER).every((value) => value >= 0 && value < 1)).toBe(true)
  })
})

describe('a chat template', () => {
  const user = [{ role: 'user' as const, content: 'hi' }]
  const apply = (template: string) =>
    createChatTemplate(template, { bos_token: '<s>', eos_token: '</s>' })(user)

  test('renders a conversation with the special tokens that templates use', () => {
    expect(
      apply(
        "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m['content'] | trim }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}",
      ),
    ).toBe('<s>[user] hi</s>[assistant]')
  })

  test('[G17] may refuse a conversation, with a message for the caller', () => {
    expect(() => apply("{{ raise_exception('Roles must alternate') }}")).toThrow(
      expect.objectContaining({
        code: 'invalid_request',
        detail: expect.stringContaining('Roles must'),
      }),
    )
  })

  test.each([
    [
      'loops without end',
      '{% for a in range(1000) %}{% for b in range(1000) %}{{ a }}{% endfor %}{% endfor %}',
    ],
    ['makes a list without end', '{{ range(1000000000) | length }}'],
    ['calls itself', '{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}'],
    [
      'writes without end',
      "{% set ns = namespace(t='x') %}{% for a in range(30) %}{% set ns.t = ns.t + ns.t %}{% endfor %}{{ ns.t }}",
    ],
  ])('[G18] that %s is stopped soon', (_, template) => {
    expect(() => apply(template)).toThrow(expect.objectContaining({ code: 'internal' }))
  })

  test('over the size limit is refused', () => {
    expect(() => createChatTemplate('a'.repeat(CHAT_TEMPLATE_BYTES + 1), {})).toThrow(/template/)
  })
})

describe('the vocabulary', () => {
  const read = (name: string) =>
    readFileSync(repositoryPath(`models/littoral-chat-2m/${name}`), 'utf8')
  const config = read('tokenizer_config.json')
  const vocabulary = createVocabulary(read('tokenizer.json'), config)

  test('returns the bytes of any text, and none for special tokens', () => {
    for (const text of [
      'turn on the light',
      'Grüße, 東京 🙂',
      ' \n\t{"a": [1]}',
      'e\u0301',
      '\ufeffx',
    ]) {
      const ids = vocabulary.encode(text, { withSpecial: true, maxTokens: 200, pointer: '/prompt' })
      expect(Buffer.concat(ids.map((id) => vocabulary.bytesOf(id))).toString()).toBe(text)
    }
    const [id = -1] = vocabulary.encode('<|end|>', {
      withSpecial: false,
      maxTokens: 9,
      pointer: '/prompt',
    })
    expect(vocabulary.bytesOf(id)).toEqual(new Uint8Array())
    expect(vocabulary.nameOf(id)).toBe('<|end|>')
  })

  test('refuses a text over its limit, before tokenizing a long one', () => {
    const encode = (text: string) =>
      vocabulary.encode(text, { withSpecial: false, maxTokens: 10, pointer: '/prompt' })
    expect(() => encode('a b c d e f g h i j k l')).toThrow(/14 tokens/)
    expect(() => encode('x'.repeat(250_000))).toThrow(/has at least \d+ tokens/)
  })

  test('replaces lone surrogates with replacement characters', () => {
    const ids = vocabulary.encode('a\ud800b', {
      withSpecial: false,
      maxTokens: 20,
      pointer: '/prompt',
    })
    expect(Buffer.concat(ids.map((id) => vocabulary.bytesOf(id))).toString()).toBe('a\ufffdb')
  })

  test('a tokenizer whose tokens have no bytes is refused', () => {
    const json = JSON.parse(read('tokenizer.json')) as Record<string, unknown>
    const other = JSON.stringify({ ...json, decoder: { type: 'Metaspace' } })
    expect(() => createVocabulary(other, config)).toThrow(/byte-level/)
  })
})

describe('the sender', () => {
  const NEVER = new AbortController().signal
  const END = { type: 'end', finish: 'stop', promptTokens: 3 } as const
  const openSender = () => {
    const { add, now } = createFakeClock()
    const lines: Uint8Array[] = []
    const emit = async (line: Uint8Array) => void lines.push(line)
    return { lines, add, sender: createSender({ emit, signal: NEVER, now }) }
  }

  test('sends the first token at once, and groups fast ones into an event', async () => {
    const { lines, add, sender } = openSender()
    for (let id = 0; id < 40; id++) {
      await sender.token(id, `t${id} `)
      add(1)
    }
    await sender.end('last', END)
    const meter = createTextMeter(40)
    const events = lines.flatMap((line) => meter.push(line))
    expect(meter.finish()).toMatchObject({ tokens: 40, end: { promptTokens: 3 } })
    expect(events[0]).toMatchObject({ tokens: [0], text: 't0 ' })
    expect(events.length).toBeLessThan(10)
    const text = events.map((event) => ('text' in event ? event.text : '')).join('')
    expect(text).toBe(`${Array.from({ length: 40 }, (_, id) => `t${id} `).join('')}last`)
  })

  test('[G14] sends the rest together with the end, without waiting for the reader in between', async () => {
    const { lines, sender } = openSender()
    for (let id = 0; id < 3; id++) await sender.token(id, `t${id} `)
    await sender.end('last', END)
    expect(lines).toHaveLength(2)
    const meter = createTextMeter(3)
    const events = lines.map((piece) => meter.push(piece).map(({ type }) => type))
    expect(events).toEqual([['delta'], ['delta', 'end']])
  })

  test('[G14] sends at most thirty events a second', async () => {
    const { lines, add, sender } = openSender()
    for (let id = 0; id < 1_000; id++) {
      await sender.token(id, 'a')
      add(2)
    }
    expect(lines.length).toBeGreaterThan(50)
    expect(lines.length).toBeLessThanOrEqual(2 * 30 + 1)
  })

  test('keeps each event within the wire limits, whatever the tokens hold', async () => {
    const { lines, sender } = openSender()
    const entry = {
      token: '\u0001'.repeat(100),
      bytes: Array.from({ length: 100 }, () => 255),
      logprob: -1,
    }
    for (let id = 0; id < 300; id++)
      await sender.token(id, '\u0001€'.repeat(40), {
        ...entry,
        top: Array.from({ length: 20 }, () => entry),
      })
    await sender.end('', END)
    const meter = createTextMeter(300)
    for (const line of lines) meter.push(line)
    expect(meter.finish().tokens).toBe(300)
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(LIMITS.textEventBytes)
  })

  test('[G18] loses patience with a reader after its time in all', async () => {
    const sender = createSender({
      emit: () => new Promise(() => {}),
      signal: NEVER,
      now: () => performance.now(),
      stallMs: 50,
    })
    await sender.token(1, 'a')
    await expect(sender.end('', END)).rejects.toMatchObject({ code: 'cancelled' })
  })

  test('[G4] stops waiting when the caller leaves', async () => {
    const controller = new AbortController()
    const { signal } = controller
    const sender = createSender({
      emit: () => new Promise(() => {}),
      signal,
      now: () => performance.now(),
    })
    await sender.token(1, 'a')
    const ending = sender.end('', END)
    controller.abort()
    await expect(ending).rejects.toMatchObject({ code: 'cancelled' })
  })
})
