/** Answers against their work: every size that the work fixes, for every model and kernel. */
import { describe, expect, it } from 'vitest'
import { checkAnswer } from '#shared/receipt/check-answer.ts'
import { toAppError } from '#shared/base/errors.ts'
import { DATATYPE_BYTES, type TensorHeader, type Work } from '#shared/job/job.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'
import { manifestDigest, ModelManifest, type ModelTensor } from '#shared/job/model.ts'
import { encodeBytes } from '#shared/job/tensor.ts'
import { EMBEDDING_MANIFEST } from '#test/support/hub/manifests.ts'

const DIGEST = `0x${'5'.repeat(64)}` as const

/** Free sizes of a request and an answer, by name. */
type Sizes = Readonly<Record<string, number>>

/** A tensor of zeroes, or of texts "a". */
function filled(tensor: ModelTensor, sizes: Sizes): { header: TensorHeader; bytes: Uint8Array } {
  const { name, datatype } = tensor
  const shape = tensor.shape.map((size) => (typeof size === 'string' ? (sizes[size] ?? 2) : size))
  const elements = shape.reduce((product, size) => product * size, 1)
  const bytes =
    datatype === 'BYTES'
      ? encodeBytes(Array.from({ length: elements }, () => 'a'))
      : new Uint8Array(elements * DATATYPE_BYTES[datatype])
  return { header: { name, datatype, shape, sizeBytes: bytes.length }, bytes }
}

function answerOf(tensors: readonly ModelTensor[], sizes: readonly Sizes[]) {
  const parts = tensors.map((tensor, index) => filled(tensor, sizes[index] ?? {}))
  return {
    headers: parts.map(({ header }) => header),
    payload: new Uint8Array(Buffer.concat(parts.map(({ bytes }) => bytes))),
  }
}

function workOf(manifest: ModelManifest): Work {
  const inputs = answerOf(manifest.inputs, []).headers
  return { kind: 'model', model: manifest.id, digest: manifestDigest(manifest), inputs }
}

function refusal(run: () => void): string | undefined {
  try {
    run()
  } catch (error) {
    const { code, detail } = toAppError(error)
    return `${code} ${detail}`
  }
  return undefined
}

/** Names that stand in an input, or several times in the outputs. */
function tiedNames({ inputs, outputs }: ModelManifest): string[] {
  const namesOf = (tensors: readonly ModelTensor[]) =>
    tensors.flatMap(({ shape }) => shape.filter((size) => typeof size === 'string'))
  const given = new Set(namesOf(inputs))
  const written = namesOf(outputs)
  const isTied = (name: string) =>
    given.has(name) || written.indexOf(name) !== written.lastIndexOf(name)
  return [...new Set(written)].filter(isTied)
}

describe.each(MANIFESTS.map((manifest) => [manifest.id, manifest] as const))(
  '%s',
  (_, manifest) => {
    const { outputs } = manifest
    const check = (sizes: readonly Sizes[]) => () =>
      checkAnswer(workOf(manifest), answerOf(outputs, sizes), manifest)

    it('[F4] is answered in the sizes of its request', () => {
      expect(refusal(check([]))).toBeUndefined()
    })

    it.each(tiedNames(manifest))('[F4] has as many %s in every output that names them', (name) => {
      for (const [index, { shape }] of outputs.entries()) {
        if (!shape.includes(name)) continue
        for (const size of [0, 1, 3, 6]) {
          const sizes = outputs.map((__, i) => (i === index ? { [name]: size } : {}))
          expect(refusal(check(sizes))).toMatch(/^invalid_request \/outputs\/\d\/shape: is/)
        }
      }
    })
  },
)

it('[F4] a manifest with unit "input" must tie its rows', () => {
  const untied = [{ ...EMBEDDING_MANIFEST.outputs[0], shape: ['rows', 4] }]
  const parsed = ModelManifest.safeParse({ ...EMBEDDING_MANIFEST, outputs: untied })
  expect(parsed.error?.issues[0]?.message).toContain('names its rows')
  const fixed = [{ ...EMBEDDING_MANIFEST.inputs[0], shape: [3] }]
  expect(ModelManifest.safeParse({ ...EMBEDDING_MANIFEST, inputs: fixed }).success).toBe(false)
})

describe('a submitted kernel', () => {
  const buffer = { access: 'read_write', filled: false, return: true } as const
  const work: Work = {
    kind: 'kernel',
    wgsl: 'fn main() {}',
    entryPoint: 'main',
    workgroups: [1, 1, 1],
    buffers: [
      { ...buffer, binding: 0, sizeBytes: 8, return: false },
      { ...buffer, binding: 3, sizeBytes: 4 },
      { ...buffer, binding: 1, sizeBytes: 8 },
    ],
    digest: DIGEST,
  }
  const right: TensorHeader[] = [
    { name: 'binding:3', datatype: 'UINT8', shape: [4], sizeBytes: 4 },
    { name: 'binding:1', datatype: 'UINT8', shape: [8], sizeBytes: 8 },
  ]
  const check = (headers: readonly TensorHeader[], length = 12) =>
    refusal(() => checkAnswer(work, { headers, payload: new Uint8Array(length) }, undefined))
  const changed = (change: Partial<TensorHeader>) =>
    right.map((header, i) => (i === 0 ? { ...header, ...change } : header))

  it('[F4] is answered by its buffers, in order, as bytes', () => {
    expect(check(right)).toBeUndefined()
  })

  it.each<[string, readonly TensorHeader[], number?]>([
    ['another shape', changed({ shape: [2, 2] })],
    ['a shape of other bytes', changed({ shape: [400] })],
    ['another type', changed({ datatype: 'FP32', shape: [1] })],
    ['another name', changed({ name: 'binding:0' })],
    ['another order', right.toReversed()],
    ['another size', changed({ shape: [8], sizeBytes: 8 }), 16],
    ['fewer bytes than its headers', right, 11],
    ['fewer buffers', right.slice(0, 1), 4],
    ['more buffers', [...right, ...right.slice(0, 1)], 16],
  ])('[F4] with %s is refused', (_, headers, length) => {
    expect(check(headers, length)).toMatch(/^invalid_request \/outputs: are /)
  })
})

describe('a text', () => {
  const work: Work = { kind: 'text', model: 'm', digest: DIGEST, inputBytes: 2, maxTokens: 1 }
  const events: TensorHeader = { name: 'events', datatype: 'UINT8', shape: [5], sizeBytes: 5 }
  const check = (headers: readonly TensorHeader[]) =>
    refusal(() => checkAnswer(work, { headers, payload: new Uint8Array(5) }, undefined))

  it('[F4] is one output of events, as long as its bytes', () => {
    expect(check([events])).toBeUndefined()
    for (const wrong of [[], [{ ...events, shape: [1] }], [{ ...events, name: 'text' }]])
      expect(check(wrong)).toMatch(/^invalid_request/)
  })
})
