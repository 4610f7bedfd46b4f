import { describe, expect, it } from 'vitest'
import { readParts, type JsonPart } from '#shared/audit/json-parts.ts'
import { parseStrict } from '#shared/base/strict-json.ts'
import { createRandom } from '#test/support/random.ts'

/** A document of a head and two lists that is hard to cut. */
const DOCUMENT = {
  version: 2,
  'a "name"': { text: 'brackets ]}, "quotes" and \\ and \n, 𝄞', list: [[], {}, [1, -0.5, 1e21]] },
  entries: [{ at: 1 }, 'two', 3, null, [], { deep: [[[{ x: true }]]] }],
  middle: false,
  jobs: [] as unknown[],
}
const LISTS = new Set(['entries', 'jobs'])

async function collect(chunks: Iterable<string>): Promise<JsonPart[]> {
  const parts: JsonPart[] = []
  for await (const part of readParts(chunks, LISTS)) parts.push(part)
  return parts
}

function* cut(text: string, lengthOf: () => number): Generator<string> {
  for (let at = 0; at < text.length;) {
    const length = lengthOf()
    yield text.slice(at, at + length)
    at += length
  }
}

describe('JSON that is signed', () => {
  it.each([
    ['a name twice', '{"place":{"country":75,"country":56}}', 'place.country: appears twice'],
    ['a name twice, once as an escape', '{"a":[{"b":1,"\\u0062":2}]}', 'a.0.b: appears twice'],
    ['a name twice, with the same value', '{"a":1,"a":1}', 'a: appears twice'],
    ['a name that some do not see', '{"a":[{"__proto__":{}}]}', 'a.0.__proto__: a name that'],
    ['the same as an escape', '{"__pr\\u006fto__":1}', '__proto__: a name that'],
    ['a number that is rounded', '{"a":9007199254740993}', 'a: the number 9007199254740993'],
    ['a number in another spelling', '{"a":[1,75.0]}', 'a.1: the number 75.0'],
    ['a negative zero', '[-0]', '0: the number -0'],
    ['half a character', '{"a":"\\ud800"}', 'a: text with half a character'],
    ['half a character in a name', '{"\\udc00":1}', 'half a character'],
    ['sixty-five levels', '['.repeat(65) + ']'.repeat(65), 'levels deep'],
    ['a comma too many', '{"a":1,}', 'not JSON'],
    ['something after it', '{} {}', 'not JSON'],
  ])('is refused for %s, with the path', (_what, text, said) => {
    expect(() => parseStrict(text)).toThrow(said)
  })

  it('equals what JSON.parse returns when it has one reading', () => {
    const text = JSON.stringify(DOCUMENT, null, 2)
    expect(parseStrict(text)).toEqual(DOCUMENT)
    // The same name in two objects, and a value that looks like a name.
    const again = [{ a: 'a' }, { a: { a: ['a', 'a'] } }]
    expect(parseStrict(JSON.stringify(again))).toEqual(again)
  })
})

describe('a document read in parts', () => {
  it('gives the same parts however it is cut', async () => {
    const random = createRandom(20_261_130)
    for (const space of [0, 1] as const) {
      const text = JSON.stringify(DOCUMENT, null, space)
      const whole = await collect([text])
      expect(whole.filter(({ kind }) => kind === 'element')).toHaveLength(6)
      for (let round = 0; round < 40; round += 1)
        expect(await collect(cut(text, () => 1 + random.below(9)))).toEqual(whole)
    }
  })

  it.each([
    ['{"entries":[1', 'entries.0: not JSON, the document ends within it'],
    ['{"entries":[1 ', 'entries: not JSON, it ends where'],
    ['{"entries":[1 2]}', 'entries: not JSON'],
    ['{"entries":[{"a":1,"a":2}]}', 'entries.0.a: appears twice'],
    ['{"jobs":[],"jobs":[]}', 'jobs: appears twice'],
    ['{"__proto__":{"a":1}}', '__proto__: a name that'],
    ['{"a":1}x', 'followed by something else'],
    ['[]', 'not JSON'],
    ['{a:1}', 'not JSON'],
    ['', 'not JSON, it ends'],
  ])('%s is refused', async (text, said) => {
    await expect(collect(cut(text, () => 2))).rejects.toThrow(said)
  })

  it('never holds more than the current part of a list of a million', async () => {
    const [chunk, count] = [1_000, 1_000_000]
    let given = 0
    let read = 0
    function* long(): Generator<string> {
      yield '{"entries":['
      for (; given < count; given += chunk)
        yield `${given === 0 ? '' : ','}${Array.from({ length: chunk }, () => '7').join(',')}`
      yield ']}'
    }
    let most = 0
    for await (const part of readParts(long(), LISTS)) {
      if (part.kind === 'element') read += 1
      most = Math.max(most, given - read)
    }
    expect(read).toBe(count)
    expect(most).toBeLessThanOrEqual(chunk)
  })
})
