/** Unknown members of a request: refused for their possible effect, or reported. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { z } from 'zod'
import { Policy } from '#shared/law/policy.ts'
import { HELLO, refusal } from '#test/support/engine/text-requests.ts'
import { parseChat } from '#worker/api/openai/chat.ts'
import { parseCompletion } from '#worker/api/openai/completions.ts'
import { ComputeRequest } from '#worker/api/compute/compute.ts'
import { DryRunQuestion } from '#worker/api/policies/dry-run.ts'
import { EmbeddingsRequest } from '#worker/api/openai/embeddings.ts'
import { parseBody } from '#worker/body/faults.ts'
import { JobsRequest } from '#worker/api/jobs/jobs.ts'
import { LibraryRequest } from '#worker/api/compute/library.ts'
import { InferRequest } from '#worker/api/oip/oip.ts'
import { parseOpenBody } from '#worker/body/open-body.ts'

const TENSOR = { name: 'text', shape: [1], datatype: 'BYTES', data: ['a'] }
const KERNEL = { wgsl: 'x', entryPoint: 'main', workgroups: [1, 1, 1] }
const BUFFERS = [{ binding: 0, access: 'read', sizeBytes: 4 }]

type Parse = (more: object) => readonly string[]
const open =
  <T>(schema: z.ZodType<T> & { readonly shape: object }, base: object): Parse =>
  (more) =>
    parseOpenBody(schema, { ...base, ...more }).ignored
const strict =
  (schema: z.ZodType, base: object): Parse =>
  (more) => {
    parseBody(schema, { ...base, ...more })
    return []
  }

const OPEN: readonly (readonly [string, Parse])[] = [
  ['chat', (more) => parseChat({ model: 'm', messages: HELLO, ...more }).ignored],
  ['completions', (more) => parseCompletion({ model: 'm', prompt: 'a', ...more }).ignored],
  ['embeddings', open(EmbeddingsRequest, { model: 'm', input: 'a' })],
  ['infer', open(InferRequest, { inputs: [TENSOR] })],
]
const BODIES = [
  ...OPEN,
  ['a kernel', strict(ComputeRequest, { kernel: KERNEL, buffers: BUFFERS })],
  ['a library kernel', strict(LibraryRequest, { kernel: 'sum@1', inputs: [TENSOR] })],
  ['a batch', strict(JobsRequest, { model: 'm', inputs: [{}] })],
  ['a dry run', strict(DryRunQuestion, {})],
] as const

function pointersOf(run: () => unknown): readonly string[] {
  const { code, pointers } = refusal(run)
  expect(['none', 'invalid_request']).toContain(code)
  return pointers
}

const NARROWINGS = [
  'Residency RESIDENCY residence resedency residency_ Policy polcy policyId policies region',
  'regions residency_allow residencyAllow data_residency allowed_countries countries',
  'jurisdiction geo location littoral x-littoral-residency minEvidence dataclass Data-Class',
  'required_data_class verified dedicated attested phi eea only gdpr zdr trusted no_log',
  'encrypt data_collection',
]
  .join(' ')
  .split(' ')

describe.each(BODIES)('a body of %s', (_, parse) => {
  it.each(NARROWINGS)('is refused with %s, which reads like a narrowing', (name) => {
    expect(pointersOf(() => parse({ [name]: ['EU'] }))).toContain(`/${name}`)
  })

  it.each(Object.keys(Policy.shape).filter((name) => name !== 'id'))(
    'is refused with the policy’s member %s, in any spelling',
    (name) => {
      const snake = name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
      for (const said of [name, snake, snake.replaceAll('_', '-'), `my_${snake}`, `x_${snake}`]) {
        for (const value of ['DE', { allow: ['DE'] }, 30, true, [], '']) {
          expect(pointersOf(() => parse({ [said]: value }))).toContain(`/${said}`)
        }
      }
    },
  )

  it('is refused with any small edit of a narrowing member', () => {
    const letters = fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz_-'.split(''))
    const edit = fc
      .record({
        name: fc.constantFrom('residency', 'policy'),
        at: fc.nat({ max: 8 }),
        letter: letters,
        how: fc.constantFrom('insert', 'delete', 'replace', 'swap', 'upper'),
      })
      .map(({ name, at: wanted, letter, how }) => {
        const at = wanted % name.length
        const [head, here, tail] = [name.slice(0, at), name[at] ?? '', name.slice(at + 1)]
        if (how === 'insert') return `${head}${letter}${here}${tail}`
        if (how === 'delete') return `${head}${tail}`
        if (how === 'replace') return `${head}${letter}${tail}`
        if (how === 'swap') return `${head}${tail.slice(0, 1)}${here}${tail.slice(1)}`
        return `${head}${here.toUpperCase()}${tail}`
      })
      .filter((name) => name !== 'residency' && name !== 'policy')
    fc.assert(
      fc.property(edit, (name) => {
        expect(pointersOf(() => parse({ [name]: { allow: ['DE'] } }))).toContain(`/${name}`)
      }),
      { seed: 8, numRuns: 300 },
    )
  })
})

describe.each(OPEN)('a body of a foreign API: %s', (route, parse) => {
  it.each([
    ['json_schema', { type: 'object', properties: {} }],
    ['structured_outputs', { json: { type: 'object' } }],
    ['grammar', 'root ::= "a"'],
    ['regex', 'a+'],
    ['guided_decoding_backend', 'xgrammar'],
    ['repeat_penalty', 1.2],
    ['repeat_last_n', 64],
    ['typical_p', 0.5],
    ['mirostat_tau', 5],
    ['xtc_probability', 0.5],
    ['dry_multiplier', 0.8],
    ['num_beams', 4],
    ['use_beam_search', true],
    ['bad_words', ['a']],
    ['stop_token_ids', [1]],
    ['enable_thinking', true],
    ['thinking', { type: 'enabled' }],
    ['reasoning', { effort: 'high' }],
    ['add_generation_prompt', false],
    ['continue_final_message', true],
    ['lora_adapter', 'x'],
    ['options', { temperature: 0 }],
    ['extra_body', { anything: 1 }],
    ['sampling_params', { n: 1 }],
    ['models', ['a', 'b']],
    ['provider', { order: ['a'] }],
    ['truncate_prompt_tokens', 9],
    ['input_type', 'query'],
    ['output_dtype', 'int8'],
    ['normalize', false],
    ['whatever', { type: 'object', properties: { a: { type: 'string' } } }],
    ['data_sources', [{ type: 'azure_search' }]],
    ['preamble', 'Answer in verse.'],
    ['connectors', [{ id: 'web-search' }]],
    ['k', 5],
    ['p', 0.5],
    ['nvext', { guided_regex: 'a+' }],
    ['vllm_xargs', { a: 1 }],
    ['mm_processor_kwargs', { a: 1 }],
    ['google', { thinking_config: { thinking_budget: 0 } }],
    ['rep_pen', 1.1],
    ['memory', 'a'],
    ['preset', 'creative'],
    ['raw', true],
    ['n_indent', 2],
    ['n_keep', 8],
    ['candidate_count', 2],
    ['n_completions', 2],
    ['completions', 2],
    ['alternatives', 2],
    ['mcp_servers', [{ url: 'https://example.org' }]],
    ['attachments', ['a']],
    ['vector_store', 'a'],
    ['knowledge', ['a']],
    ['few_shot', [['a', 'b']]],
    ['examples', [{ a: 'b' }]],
    ['mask_sensitive_info', true],
    ['anonymize', true],
    ['labels', ['a', 'b']],
    ['classes', ['a', 'b']],
    ['values', ['a', 'b']],
    ['one_of', ['a', 'b']],
    ['pydantic', 'class A: pass'],
    ['zod', 'z.string()'],
    ['abnf', 'a = "b"'],
    ['peg', 'a <- "b"'],
    ['dims', 64],
    ['matryoshka', 64],
    ['lowercase', true],
    ['sparse', true],
    ['title', 'a'],
    ['threshold', 0.5],
    ['confidence', 0.5],
    ['iou', 0.5],
    ['nms', false],
    ['rotate', 90],
    ['crop', [0, 0, 1, 1]],
    ['resize', 'fit'],
    ['lang', 'de'],
    ['sequence_id', 7],
    ['binary', true],
    ['user_tools', ['a']],
    ['x_grammar', 'a'],
    ['x_client', { settings: { temperature: 0 } }],
    ['tags', ['EU', 'CH']],
    ['tags', [{ dataClass: 'phi' }]],
    ['session', { verified: true }],
    ['qwzk', 1],
    ['qwzk', { a: 1 }],
    ['my_notes', [{ deep: [{ residency: { allow: ['DE'] } }] }]],
  ])('is refused with %s, which would have no effect', (name, value) => {
    expect(pointersOf(() => parse({ [name]: value }))).toEqual([`/${name}`])
  })

  it.each([
    ['foo', 1],
    ['my_field', [1]],
    ['trace_id', 'abc'],
    ['session_id', 'x'],
    ['tags', ['a']],
    ['caching', true],
    ['priority', 2],
    ['x_client', { name: 'meter', version: [1, 2] }],
    ['ümlaut', 'x'],
    ['user_id', 7],
    ['requestId', 'x'],
    ['client', { name: 'meter' }],
    ['app', 'meter'],
    ['version', '1'],
    ['litellm_trace_id', 'x'],
    ['x_anything', [{ a: 1 }]],
    ['keep_alive', '5m'],
    ['timeout', 30],
    ['billing_account', 'x'],
    ['cache', false],
  ])('passes with %s, and reports that it had no effect', (name, value) => {
    expect(parse({ [name]: value })).toEqual([name])
  })

  it('is refused with any name that is not a known label', () => {
    // Names without a vowel are never labels.
    const word = fc.string({
      unit: fc.constantFrom(...'bcdfghjmnrsvwz'.split('')),
      minLength: 2,
      maxLength: 9,
    })
    const name = fc.tuple(word, fc.constantFrom('_', '-', ''), word).map((parts) => parts.join(''))
    fc.assert(
      fc.property(name, fc.constantFrom(1, 'a', true, false, [1], { a: 1 }), (said, value) => {
        expect(pointersOf(() => parse({ [said]: value }))).toEqual([`/${said}`])
      }),
      { seed: 12, numRuns: 300 },
    )
  })

  it('passes with null for any unknown member', () => {
    expect(parse({ grammar: null, residencies: null, foo: null })).toEqual([])
  })

  it('passes with labels that OpenAI has', () => {
    if (route === 'infer') return
    const labels = { user: 'a', metadata: { region: 'eu' }, safety_identifier: 'b' }
    expect(parse({ ...labels, prompt_cache_key: 'c' })).toEqual([])
  })
})

describe('a known object', () => {
  const chat = (body: object) => () => parseChat({ model: 'm', messages: HELLO, ...body })
  const schema = { type: 'object', properties: {} }
  it.each([
    ['response_format', { type: 'json_object', schema }, '/response_format/schema'],
    ['response_format', { type: 'text', schema }, '/response_format/schema'],
    [
      'response_format',
      { type: 'json_schema', json_schema: { name: 'a', schema, Strict: true } },
      '/response_format/json_schema/Strict',
    ],
    ['stream_options', { include_usage: true, chunk: 2 }, '/stream_options/chunk'],
    ['messages', [{ role: 'user', content: 'a', prefix: true }], '/messages/0/prefix'],
    ['messages', [{ role: 'user', content: 'a', Content: 'b' }], '/messages/0/Content'],
    [
      'messages',
      [{ role: 'user', content: [{ type: 'text', text: 'a', cache: 1 }] }],
      '/messages/0/content/0/cache',
    ],
    ['residency', { allow: ['DE'], deny: ['FR'] }, '/residency/deny'],
  ])('is refused with an unknown member: %s %j', (name, value, pointer) => {
    expect(pointersOf(chat({ stream: true, [name]: value }))).toEqual([pointer])
  })

  it('is refused in tensors and outputs, too', () => {
    const infer = (body: object) => () => parseOpenBody(InferRequest, { inputs: [TENSOR], ...body })
    expect(pointersOf(infer({ inputs: [{ ...TENSOR, dataType: 'FP32' }] }))).toEqual([
      '/inputs/0/dataType',
    ])
    expect(pointersOf(infer({ outputs: [{ name: 'a', classification: 3 }] }))).toEqual([
      '/outputs/0/classification',
    ])
  })

  it('accepts answers of other servers as messages', () => {
    const answer = { role: 'assistant', content: 'a', refusal: null, annotations: [], audio: null }
    expect(chat({ messages: [...HELLO, { ...answer, tool_calls: [] }] })().ignored).toEqual([])
  })
})
