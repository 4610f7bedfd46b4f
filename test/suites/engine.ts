/** Behaviour of every engine, a local node's processes and a tab's worker alike. Rules: docs/design/engine.md. */
import { readFileSync } from 'node:fs'
import { decodePng } from '#engine/media/png.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Engine } from '#engine/engine.ts'
import { SPECTRUM_KERNEL } from '#engine/kernels/spectrum.ts'
import { TONES, vibrationWindow } from '#examples/vibration.ts'
import type { Answer, ModelWork, Provider, Work } from '#shared/job/job.ts'
import { decodeFloats, decodeTexts, encodeBytes } from '#shared/job/tensor.ts'
import { describeInterface } from './kernels.ts'
import { describeLibrary } from './library.ts'
import { describeMedia, MEDIA_MODELS } from './media.ts'
import { runJob } from '#test/support/engine/run-job.ts'
import { describeText } from './text.ts'
import {
  kernelJob,
  modelJob,
  powerSpectrum,
  spectrumJob,
} from '#test/support/engine/engine-jobs.ts'

export interface EngineSuite {
  open(): Promise<Engine>
  /** Providers on which each model may be admitted here. */
  readonly providers: Readonly<Record<string, readonly Provider[]>>
  readonly kernels: 'any' | 'listed'
}

const EMBEDDING = 'littoral-embed-400k'
const OCR = 'pp-ocr-rec'
const CHAT = 'littoral-chat-2m'

export function describeEngine(name: string, suite: EngineSuite): void {
  describe(name, () => {
    let engine: Engine
    beforeAll(async () => {
      engine = await suite.open()
    })
    afterAll(async () => {
      await engine?.close()
    })
    describeModels(suite, () => engine)
    describeRefusals(() => engine)
    describeKernels(suite, () => engine)
    describeLibrary(() => engine)
    if (CHAT in suite.providers) describeText(() => engine)
    if (MEDIA_MODELS.every((id) => id in suite.providers)) describeMedia(() => engine)
  })
}

function describeModels(suite: EngineSuite, engine: () => Engine): void {
  test('[G1] every model is admitted on a provider whose golden run is right', () => {
    const admitted = engine().models.map(({ id }) => id)
    expect(admitted.toSorted()).toEqual(Object.keys(suite.providers).toSorted())
    for (const { id, provider, serviceMs } of engine().models) {
      expect(suite.providers[id]).toContain(provider)
      expect(serviceMs).toBeGreaterThan(0)
    }
  })

  test("[G1] an embedding agrees with the trainer's within the manifest's tolerance", async () => {
    const golden = JSON.parse(
      readFileSync(
        new URL('../../models/littoral-embed-400k/golden.json', import.meta.url),
        'utf8',
      ),
    ) as { vec: number[] }
    const { answer, bytes } = await runJob(
      engine(),
      modelJob(EMBEDDING, [[1], encodeBytes(['Turn on the kitchen light'])]),
    )
    expectHeaders(answer, [['embedding', [1, 128], 512]])
    const vector = decodeFloats(bytes)
    const worst = Math.max(...golden.vec.map((value, i) => Math.abs(value - (vector[i] ?? NaN))))
    expect(worst).toBeLessThan(1e-4)
  })

  test('the vector of a text does not depend on the other texts of the request', async () => {
    const texts = Array.from({ length: 34 }, (_, i) => `sensor ${i} is hot`)
    const alone = await runJob(engine(), modelJob(EMBEDDING, [[1], encodeBytes([texts[33] ?? ''])]))
    const all = await runJob(engine(), modelJob(EMBEDDING, [[34], encodeBytes(texts)]))
    expectHeaders(all.answer, [['embedding', [34, 128], 34 * 512]])
    const [single, among] = [
      decodeFloats(alone.bytes),
      decodeFloats(all.bytes.subarray(33 * 512, 34 * 512)),
    ]
    const worst = Math.max(...single.map((value, i) => Math.abs(value - (among[i] ?? NaN))))
    expect(worst).toBeLessThan(1e-5)
  })

  test.runIf(OCR in suite.providers)('every digit of a meter photo is read', async () => {
    const { width, height, rgb } = await decodePng(
      readFileSync(new URL('../../examples/meter.png', import.meta.url)),
    )
    const { answer, bytes } = await runJob(engine(), modelJob(OCR, [[height, width, 3], rgb]))
    const [text, confidence] = answer.outputs.map(({ sizeBytes }) => sizeBytes)
    expect(decodeTexts(bytes.subarray(0, text))).toEqual(['00427195'])
    expect(confidence).toBe(4)
    expect(decodeFloats(bytes.subarray(text))[0]).toBeGreaterThan(0.9)
  })
}

function describeRefusals(engine: () => Engine): void {
  const texts = encodeBytes(['a', 'b'])
  const cases: readonly (readonly [string, Partial<ModelWork['inputs'][number]>, Uint8Array])[] = [
    ['the wrong name', { name: 'prompt' }, texts],
    ['the wrong type', { datatype: 'FP32' }, texts],
    ['the wrong rank', { shape: [1, 2] }, texts],
    ['fewer elements than its shape says', { shape: [3] }, texts],
    ['no elements', { shape: [0], sizeBytes: 0 }, new Uint8Array()],
    ['a length beyond its end', {}, texts.with(0, 200)],
    ['fewer bytes than its header says', {}, texts.subarray(0, 7)],
    ['text that is not UTF-8', {}, texts.with(4, 0xff)],
    ['an empty text', { sizeBytes: 9 }, encodeBytes(['', 'b'])],
  ]
  test.each(cases)('[G2] a tensor with %s is refused', async (_, change, payload) => {
    const { work } = modelJob(EMBEDDING, [[2], texts])
    const inputs = work.inputs.map((header) => ({ ...header, ...change }))
    await expect(runJob(engine(), { work: { ...work, inputs }, payload })).rejects.toMatchObject({
      code: 'invalid_request',
    })
  })

  test('[G2] too many texts in one request are too_large', async () => {
    const many = Array.from({ length: 2_049 }, () => 'a')
    const job = modelJob(EMBEDDING, [[2_049], encodeBytes(many)])
    await expect(runJob(engine(), job)).rejects.toMatchObject({ code: 'too_large' })
  })

  test('[G3] an unknown model or version is model_not_found', async () => {
    const { work, payload } = modelJob(EMBEDDING, [[2], texts])
    const other: Work = { ...work, model: 'unheard-of' }
    const older: Work = { ...work, digest: `0x${'0'.repeat(64)}` }
    for (const wrong of [other, older])
      await expect(runJob(engine(), { work: wrong, payload })).rejects.toMatchObject({
        code: 'model_not_found',
      })
  })

  test('[G4] a cancelled job ends at once, and the engine keeps working', async () => {
    const job = modelJob(EMBEDDING, [[2], texts])
    await expect(runJob(engine(), job, AbortSignal.abort())).rejects.toMatchObject({
      code: 'cancelled',
    })
    const controller = new AbortController()
    const running = runJob(
      engine(),
      modelJob(EMBEDDING, [
        [256],
        encodeBytes(Array.from({ length: 256 }, () => 'long '.repeat(60))),
      ]),
      controller.signal,
    )
    controller.abort()
    await expect(running).rejects.toMatchObject({ code: 'cancelled' })
    expect((await runJob(engine(), job)).bytes.length).toBe(1024)
  })
}

function describeKernels({ kernels }: EngineSuite, engine: () => Engine): void {
  test("[G5] the spectrum kernel agrees with the CPU's spectrum and finds the tones", async () => {
    const { samples, sampleRateHz } = vibrationWindow()
    const { answer, bytes } = await runJob(engine(), spectrumJob(samples))
    expectHeaders(answer, [['binding:1', [8192], 8192]])
    expect(answer.provider).toBe('webgpu')
    const power = decodeFloats(bytes)
    const expected = powerSpectrum(samples)
    const largest = Math.max(...expected)
    const worst = Math.max(...expected.map((value, k) => Math.abs(value - (power[k] ?? NaN))))
    expect(worst / largest).toBeLessThan(1e-3)
    const { frequencyHz } = SPECTRUM_KERNEL.strongestTone(power, sampleRateHz)
    expect(Math.abs(frequencyHz - TONES[0].frequencyHz)).toBeLessThan(sampleRateHz / 4096)
  })

  test.runIf(kernels === 'any')(
    '[U5] an endless loop ends with its line in the error, and the next kernel is answered',
    async () => {
      const wgsl = `@group(0) @binding(0) var<storage, read_write> out: array<u32>;
@compute @workgroup_size(64) fn main() {
  loop { if (out[0] == 7u) { break; } out[0] = 1u; }
}`
      await expect(runJob(engine(), kernelJob({ wgsl, buffers: [{}] }))).rejects.toMatchObject({
        code: 'no_capacity',
        detail: expect.stringMatching(/line 3: .* did more than this node's .* operations/),
        meta: { rule: 'kernels.budget' },
      })
      const { samples } = vibrationWindow()
      expect((await runJob(engine(), spectrumJob(samples))).bytes.length).toBe(8192)
    },
  )

  if (kernels === 'any') describeInterface(engine)

  const outside = kernelJob({ wgsl: 'loop {}', buffers: [{ sizeBytes: 4 }] })
  test.runIf(kernels === 'listed')(
    '[G6] a kernel that is not on the list is refused, whatever digest it bears, and nothing stops',
    async () => {
      const { work } = spectrumJob(new Float32Array(4096))
      for (const digest of [outside.work.digest, work.digest])
        await expect(
          runJob(engine(), { ...outside, work: { ...outside.work, digest } }),
        ).rejects.toMatchObject({ code: 'forbidden', meta: { rule: 'kernels.listed' } })
      const { samples } = vibrationWindow()
      expect((await runJob(engine(), spectrumJob(samples))).bytes.length).toBe(8192)
    },
  )
}

function expectHeaders(answer: Answer, headers: readonly [string, number[], number][]): void {
  expect(answer.outputs.map(({ name, shape, sizeBytes }) => [name, shape, sizeBytes])).toEqual(
    headers,
  )
  expect(answer.computeMs).toBeGreaterThan(0)
}
