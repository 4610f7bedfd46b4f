/** Jobs for an engine, built as the Worker builds them, and the expected spectrum. */
import { sha256, stringToBytes } from 'viem'
import { SPECTRUM_KERNEL } from '#engine/kernels/spectrum.ts'
import { invariant } from '#shared/base/errors.ts'
import type { KernelBuffer, KernelWork, ModelWork, TextWork, Work } from '#shared/job/job.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'
import { manifestDigest } from '#shared/job/model.ts'
import { TextEvent, type TextInput } from '#shared/job/text.ts'

export interface Job<W extends Work = Work> {
  readonly work: W
  readonly payload: Uint8Array
}

type Input = readonly [shape: number[], bytes: Uint8Array]

export function modelJob(id: string, ...inputs: readonly Input[]): Job<ModelWork> {
  const manifest = MANIFESTS.find((known) => known.id === id)
  invariant(manifest, `no manifest ${id}`)
  return {
    work: {
      kind: 'model',
      model: id,
      digest: manifestDigest(manifest),
      inputs: manifest.inputs.map(({ name, datatype }, i) => ({
        name,
        datatype,
        shape: inputs[i]?.[0] ?? [],
        sizeBytes: inputs[i]?.[1].length ?? 0,
      })),
    },
    payload: new Uint8Array(Buffer.concat(inputs.map(([, bytes]) => bytes))),
  }
}

export interface TextJobOptions extends Partial<TextInput> {
  /** The user's message, unless `messages` or `prompt` is given. */
  readonly user?: string
  readonly maxTokens?: number
  /** @default littoral-chat-2m */
  readonly model?: string
}

export const GREEDY_TEXT: TextInput = {
  temperature: 0,
  topP: 1,
  seed: null,
  stop: [],
  logprobs: null,
  format: { type: 'text' },
}

/** A greedy text job unless the options differ. */
export function textJob(options: TextJobOptions): Job<TextWork> {
  const { user, maxTokens = 64, model = 'littoral-chat-2m', ...input } = options
  const manifest = MANIFESTS.find((known) => known.id === model)
  invariant(manifest, `no manifest ${model}`)
  const payload = new TextEncoder().encode(
    JSON.stringify({
      ...(user === undefined ? {} : { messages: [{ role: 'user', content: user }] }),
      ...GREEDY_TEXT,
      ...input,
    } satisfies TextInput),
  )
  const digest = manifestDigest(manifest)
  return {
    work: { kind: 'text', model, digest, inputBytes: payload.length, maxTokens },
    payload,
  }
}

/** The events of a text answer, combined. */
export function readText(bytes: Uint8Array) {
  const events = new TextDecoder()
    .decode(bytes)
    .trimEnd()
    .split('\n')
    .map((line) => TextEvent.parse(JSON.parse(line)))
  const deltas = events.filter((event) => event.type === 'delta')
  return {
    events,
    text: deltas.map(({ text }) => text).join(''),
    tokens: deltas.flatMap(({ tokens }) => tokens),
    logprobs: deltas.flatMap(({ logprobs = [] }) => logprobs),
    end: events.find((event) => event.type === 'end'),
  }
}

export interface KernelJobOptions {
  readonly wgsl: string
  /** Bindings count up from 0. By default they are read_write, unfilled and returned. */
  readonly buffers: readonly Partial<KernelBuffer>[]
  readonly workgroups?: [number, number, number]
  readonly payload?: Uint8Array
}

export function kernelJob(options: KernelJobOptions): Job<KernelWork> {
  const { wgsl, buffers, workgroups = [1, 1, 1], payload = new Uint8Array() } = options
  return {
    work: {
      kind: 'kernel',
      wgsl,
      entryPoint: 'main',
      workgroups,
      buffers: buffers.map((buffer, binding) => ({
        binding,
        access: 'read_write',
        sizeBytes: 4,
        filled: false,
        return: true,
        ...buffer,
      })),
      digest: sha256(stringToBytes(wgsl)),
    },
    payload,
  }
}

export function spectrumJob(samples: Float32Array): Job<KernelWork> {
  const { kernel } = SPECTRUM_KERNEL.request(samples)
  return kernelJob({
    wgsl: kernel.wgsl,
    workgroups: [...kernel.workgroups],
    buffers: [
      { access: 'read', sizeBytes: samples.byteLength, filled: true, return: false },
      { sizeBytes: samples.byteLength / 2 },
    ],
    payload: new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength),
  })
}

/** Hann-windowed power spectrum in double precision by a radix-2 transform, unlike the kernel's algorithm. */
export function powerSpectrum(samples: Float32Array): Float64Array {
  const n = samples.length
  const re = Float64Array.from(
    samples,
    (value, i) => value * (0.5 - 0.5 * Math.cos((2 * Math.PI * i) / n)),
  )
  const [real, imaginary] = transform(re, new Float64Array(n))
  return Float64Array.from(
    { length: n / 2 },
    (_, k) => (4 * ((real[k] ?? 0) ** 2 + (imaginary[k] ?? 0) ** 2)) / n ** 2,
  )
}

function transform(re: Float64Array, im: Float64Array): [Float64Array, Float64Array] {
  const n = re.length
  if (n === 1) return [re, im]
  const half = (from: Float64Array, odd: number) =>
    Float64Array.from({ length: n / 2 }, (_, i) => from[2 * i + odd] ?? 0)
  const [evenRe, evenIm] = transform(half(re, 0), half(im, 0))
  const [oddRe, oddIm] = transform(half(re, 1), half(im, 1))
  const [outRe, outIm] = [new Float64Array(n), new Float64Array(n)]
  for (let k = 0; k < n / 2; k++) {
    const [cos, sin] = [Math.cos((2 * Math.PI * k) / n), -Math.sin((2 * Math.PI * k) / n)]
    const tRe = cos * (oddRe[k] ?? 0) - sin * (oddIm[k] ?? 0)
    const tIm = sin * (oddRe[k] ?? 0) + cos * (oddIm[k] ?? 0)
    outRe[k] = (evenRe[k] ?? 0) + tRe
    outIm[k] = (evenIm[k] ?? 0) + tIm
    outRe[k + n / 2] = (evenRe[k] ?? 0) - tRe
    outIm[k + n / 2] = (evenIm[k] ?? 0) - tIm
  }
  return [outRe, outIm]
}
