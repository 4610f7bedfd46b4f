/** Text restricted to JSON is valid whenever it ends, whatever the model prefers. Rules: docs/design/engine.md. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { createConstraints } from '#engine/models/text/constraint.ts'
import { createRandom } from '#engine/models/text/sample.ts'
import { createVocabulary } from '#engine/models/text/vocabulary.ts'
import { parseJsonShape, JSON_PROPERTIES } from '#shared/job/json-shape.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { TextFormat } from '#shared/job/text.ts'
import { repositoryPath } from '#scripts/base/paths.ts'

const read = (name: string) =>
  readFileSync(repositoryPath(`models/littoral-chat-2m/${name}`), 'utf8')
const vocabulary = createVocabulary(read('tokenizer.json'), read('tokenizer_config.json'))
const END = 3
const constraints = createConstraints(vocabulary, new Set([END]))
const encoder = new TextEncoder()

const noise = createRandom(7)
const NOISE = Float32Array.from({ length: 1 << 15 }, () => noise() * 4)

/** Writes with a model that prefers random tokens, and the end more and more. */
function write(format: TextFormat, seed: number, mostTokens = 400): string | undefined {
  const random = createRandom(seed)
  const constraint = constraints({ format, stop: [] })
  if (constraint === undefined) throw new Error('a JSON format is constrained')
  const bytes: number[] = []
  for (let step = 0; step < mostTokens; step++) {
    const from = Math.floor(random() * (NOISE.length - vocabulary.size))
    const logits = NOISE.slice(from, from + vocabulary.size)
    for (const sign of ['"', '}', ']', '",'])
      for (const id of idsOf(sign)) logits[id] = random() * (3 + step / 20)
    const sampling = { temperature: seed % 2, topP: seed % 3 === 0 ? 0.9 : 1, random }
    const id = constraint.choose(logits, sampling)
    if (id === END) return decode(bytes)
    bytes.push(...vocabulary.bytesOf(id))
    constraint.accept(id)
    if (constraint.isDone) return decode(bytes)
  }
  return undefined
}

function idsOf(text: string): number[] {
  return vocabulary.encode(text, { withSpecial: false, maxTokens: 8, pointer: '/prompt' })
}

function decode(bytes: readonly number[]): string {
  return new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(bytes))
}

/** Feeds a text byte by byte, as single-byte tokens. @returns true when the format allows it */
function takes(format: TextFormat, text: string): boolean {
  const constraint = constraints({ format, stop: [] })
  for (const byte of encoder.encode(text)) {
    const id = singleByte.get(byte) ?? -1
    const logits = new Float32Array(vocabulary.size).fill(-1)
    logits[id] = 1
    if (constraint?.choose(logits, { temperature: 0, topP: 1, random: () => 0 }) !== id)
      return false
    constraint.accept(id)
  }
  if (constraint?.isDone) return true
  const logits = new Float32Array(vocabulary.size).fill(-1)
  logits[END] = 1
  return constraint?.choose(logits, { temperature: 0, topP: 1, random: () => 0 }) === END
}

const singleByte = new Map<number, number>()
for (let id = 0; id < vocabulary.size; id++) {
  const [byte, ...others] = vocabulary.bytesOf(id)
  if (byte !== undefined && others.length === 0) singleByte.set(byte, id)
}

const schemaOf = (schema: Record<string, unknown>): TextFormat => ({ type: 'json_schema', schema })
const READING = {
  type: 'object',
  title: 'Reading',
  properties: {
    sensor: { type: 'string', description: 'its name' },
    level: { type: 'integer' },
    value: { type: ['number', 'null'] },
    state: { enum: ['on', 'off', 'ünknown "quoted"'] },
    kind: { const: 7 },
    tags: { type: 'array', items: { type: 'string' }, minItems: 1, maxItems: 3 },
    at: {
      type: 'object',
      properties: { room: { type: 'string' }, lit: { type: 'boolean' } },
      required: ['lit'],
      additionalProperties: false,
    },
  },
  required: ['sensor', 'level', 'state', 'at'],
  additionalProperties: false,
}
const SCHEMAS: readonly Record<string, unknown>[] = [
  READING,
  { type: 'array', items: READING, maxItems: 2 },
  { type: 'array', items: { type: 'array', items: { enum: [1, 12, 123, -1, null] } }, minItems: 2 },
  { type: 'object', properties: {}, additionalProperties: false },
  { type: 'number' },
  { enum: ['a', 'ab', 1, 12, null] },
]

describe('JSON written token by token', () => {
  test('[G16] is valid against its schema whenever it ends, whatever the model prefers', () => {
    for (const [index, schema] of SCHEMAS.entries()) {
      const validator = z.fromJSONSchema(schema)
      let ended = 0
      for (let seed = 0; seed < 24; seed++) {
        const text = write(schemaOf(schema), seed)
        if (text === undefined) continue
        ended += 1
        const value: unknown = JSON.parse(text)
        const verdict = validator.safeParse(value)
        expect(verdict.success, `schema ${index}, seed ${seed}: ${text}`).toBe(true)
      }
      expect(ended, `schema ${index}`).toBeGreaterThan(4)
    }
  })

  test('[G16] parses as an object when any object is requested', () => {
    let ended = 0
    for (let seed = 0; seed < 40; seed++) {
      const text = write({ type: 'json_object' }, seed)
      if (text === undefined) continue
      ended += 1
      expect(JSON.parse(text), `seed ${seed}`).toBeTypeOf('object')
      expect(text.startsWith('{')).toBe(true)
    }
    expect(ended).toBeGreaterThan(10)
  })

  test.each([
    ['{"a":1}', true],
    ['{ "a" : [ 1 , -0.5e-3 , true , null , {} ] ,\n\t"ü\\u00e9\\n" : "" }', true],
    ['{"a":01}', false],
    ['{"a":1.}', false],
    ['{"a":1,}', false],
    ['{"a" 1}', false],
    ['{a:1}', false],
    ['{"a":+1}', false],
    ['{"a":"\u0001"}', false],
    ['{"a":"\\x"}', false],
    ['{"a":tru}', false],
    ['{"a":[1,]}', false],
    ['{}{}', false],
    ['{"a":{"b":["x"]}}', true],
    ['[]', false],
    [`{"a":${'['.repeat(40)}${']'.repeat(40)}}`, false],
    ['{"a":1e999}', false],
  ])('as any object, %s is accepted: %s', (text, isTaken) => {
    expect(takes({ type: 'json_object' }, text)).toBe(isTaken)
  })

  test.each([
    ['{"sensor":"s","level":3,"state":"on","at":{"lit":true}}', true],
    ['{"at":{"lit":true,"room":""},"state":"off","level":-3,"sensor":"","value":null}', true],
    ['{"sensor":"s","level":3,"state":"on"}', false],
    ['{"sensor":"s","sensor":"s","level":3,"state":"on","at":{"lit":true}}', false],
    ['{"sensor":"s","level":3.5,"state":"on","at":{"lit":true}}', false],
    ['{"sensor":"s","level":3,"state":"onn","at":{"lit":true}}', false],
    ['{"sensor":"s","level":3,"state":"on","at":{"lit":true},"tags":[]}', false],
    ['{"sensor":"s","level":3,"state":"on","at":{"lit":true},"tags":["","","",""]}', false],
    ['{"other":1}', false],
  ])('under a schema, %s is accepted: %s', (text, isTaken) => {
    expect(takes(schemaOf(READING), text)).toBe(isTaken)
  })

  test('a constant may be any value, and is written exactly', () => {
    const format = schemaOf({ const: { b: [1, 'x'] } })
    expect(takes(format, '{"b":[1,"x"]}')).toBe(true)
    expect(takes(format, '{"b":[1,"y"]}')).toBe(false)
    expect(takes(format, '{"b":[1')).toBe(false)
  })

  test('invalid UTF-8 cannot be written into a string', () => {
    const constraint = constraints({ format: { type: 'json_object' }, stop: [] })
    const wanted = [0x7b, 0x22, 0xc3]
    for (const byte of wanted) constraint?.accept(singleByte.get(byte) ?? -1)
    const logits = new Float32Array(vocabulary.size)
    logits[singleByte.get(0x22) ?? -1] = 9
    const id = constraint?.choose(logits, { temperature: 0, topP: 1, random: () => 0 }) ?? -1
    expect(vocabulary.bytesOf(id)[0]).toBeGreaterThanOrEqual(0x80)
  })

  test('[G17] a stop sequence with a JSON format is refused', () => {
    expect(() => constraints({ format: { type: 'json_object' }, stop: ['}'] })).toThrow(/stop/)
  })

  test.each([
    ['an object', '{"a":[1,{"b'],
    ['a number', '{"a":-1.5'],
    ['a key', '{"sen'],
    ['white space', '{ '],
  ])('greedy and sampled choice allow the same tokens inside %s', (_, text) => {
    const format = text.includes('sen') ? schemaOf(READING) : ({ type: 'json_object' } as const)
    const constraint = constraints({ format, stop: [] })
    for (const byte of encoder.encode(text)) constraint?.accept(singleByte.get(byte) ?? -1)
    let taken = 0
    for (let id = 0; id < vocabulary.size; id++) {
      const logits = new Float32Array(vocabulary.size).fill(-100)
      logits[id] = 100
      const greedy = constraint?.choose(logits, { temperature: 0, topP: 1, random: () => 0.5 })
      const drawn = constraint?.choose(logits, { temperature: 1, topP: 1, random: () => 0.5 })
      expect(drawn === id, vocabulary.nameOf(id)).toBe(greedy === id)
      taken += greedy === id ? 1 : 0
    }
    expect(taken).toBeGreaterThan(0)
    expect(taken).toBeLessThan(vocabulary.size)
  })
})

describe('[G17] a schema outside the supported part', () => {
  const deep = (levels: number): unknown =>
    levels === 0 ? { type: 'null' } : { type: 'array', items: deep(levels - 1) }
  const many = Object.fromEntries(
    Array.from({ length: JSON_PROPERTIES + 1 }, (_, i) => [`p${i}`, { type: 'null' }]),
  )
  test.each([
    ['a pattern', { type: 'string', pattern: 'a+' }, '/pattern'],
    ['alternatives', { anyOf: [{ type: 'null' }] }, '/anyOf'],
    ['a reference', { $ref: '#/$defs/a', $defs: {} }, '/$ref'],
    ['a bound', { type: 'integer', minimum: 3 }, '/minimum'],
    ['an unknown type', { type: 'date' }, '/type'],
    ['no types', { type: [] }, '/type'],
    [
      'further properties',
      { type: 'object', properties: {}, additionalProperties: true },
      '/additionalProperties',
    ],
    ['a required stranger', { type: 'object', properties: {}, required: ['a'] }, '/required'],
    [
      'a fault far down',
      { type: 'object', properties: { 'a/b': { type: 'array', items: { format: 'x' } } } },
      '/properties/a~1b/items/format',
    ],
    ['an empty enum', { enum: [] }, '/enum'],
    ['an enum of another type', { type: 'string', enum: ['a', 3] }, '/enum/1'],
    ['a negative size', { type: 'array', minItems: -1 }, '/minItems'],
    ['sizes the wrong way round', { type: 'array', minItems: 3, maxItems: 2 }, '/maxItems'],
    ['no schema at all', 'string', ''],
    ['a schema that is true', { type: 'array', items: true }, '/items'],
    ['too many properties', { type: 'object', properties: many }, '/properties'],
  ])('%s is refused with its pointer', (_, schema, pointer) => {
    expect(refusal(schema)).toMatchObject({
      code: 'invalid_request',
      meta: { errors: [{ pointer: `/s${pointer}` }] },
    })
  })

  test('the safe-integer bounds that zod adds to every integer are accepted, since they always hold', () => {
    const schema = z.toJSONSchema(z.object({ count: z.int() }))
    expect(JSON.stringify(schema)).toContain('"maximum"')
    expect(parseJsonShape(schema)).toEqual(
      parseJsonShape({ ...schema, properties: { count: { type: 'integer' } } }),
    )
  })

  test('too deep, too many schemas and too many values are refused', () => {
    expect(refusal(deep(LIMITS.jsonDepth))).toBeUndefined()
    expect(refusal(deep(LIMITS.jsonDepth + 1))).toMatchObject({ code: 'invalid_request' })
    const wide = {
      type: 'array',
      items: {
        type: 'object',
        properties: Object.fromEntries(
          Array.from({ length: 8 }, (_, i) => [
            `p${i}`,
            {
              type: 'object',
              properties: Object.fromEntries(
                Array.from({ length: 40 }, (_unused, k) => [`q${k}`, { type: 'null' }]),
              ),
            },
          ]),
        ),
      },
    }
    expect(refusal(wide)).toMatchObject({ code: 'invalid_request' })
    expect(refusal({ enum: Array.from({ length: 257 }, (_, i) => i) })).toMatchObject({
      code: 'invalid_request',
    })
  })
})

function refusal(schema: unknown): unknown {
  try {
    parseJsonShape(schema, '/s')
    return undefined
  } catch (error) {
    return error
  }
}
