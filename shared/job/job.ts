/** The work of a job and the headers of its answer. Bytes travel beside these headers, never inside them. */
import { z } from 'zod'
import { Bytes32 } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'

/** Tensor element types that Littoral carries, of the Open Inference Protocol v2; sizes in bytes, 0 = variable. */
export const DATATYPE_BYTES = {
  BOOL: 1,
  UINT8: 1,
  UINT16: 2,
  UINT32: 4,
  UINT64: 8,
  INT8: 1,
  INT16: 2,
  INT32: 4,
  INT64: 8,
  FP16: 2,
  FP32: 4,
  FP64: 8,
  /** Each element is a little-endian uint32 length and that many bytes. */
  BYTES: 0,
} as const
export type Datatype = keyof typeof DATATYPE_BYTES

/** One tensor's header. Its bytes (little-endian, row-major) stand in the payload, in the order of the headers. */
export const TensorHeader = z.strictObject({
  name: z.string().min(1).max(128),
  datatype: z.enum(Object.keys(DATATYPE_BYTES) as [Datatype, ...Datatype[]]),
  shape: z.array(z.int().min(0)).max(8),
  sizeBytes: z.int().min(0).max(LIMITS.kernelTotalBytes),
})
export type TensorHeader = z.infer<typeof TensorHeader>

export const ModelWork = z.strictObject({
  kind: z.literal('model'),
  model: z.string().min(1).max(128),
  /** Digest of the manifest that the caller was promised an answer of. */
  digest: Bytes32,
  inputs: z.array(TensorHeader).min(1).max(16),
})
export type ModelWork = z.infer<typeof ModelWork>

/** Text generation: the payload is a `TextInput` as JSON; the answer's bytes are `TextEvent` lines (`text.ts`). */
export const TextWork = z.strictObject({
  kind: z.literal('text'),
  model: z.string().min(1).max(128),
  digest: Bytes32,
  inputBytes: z.int().min(2).max(LIMITS.textInputBytes),
  /** Most tokens that the node may generate; the ticket's ceiling of units follows from it. */
  maxTokens: z.int().min(1).max(LIMITS.textTokens),
})
export type TextWork = z.infer<typeof TextWork>

/** A kernel of Littoral's own library (`kernels.ts`), by name and version: `fft@1`. */
export const LibraryWork = z.strictObject({
  kind: z.literal('library'),
  kernel: z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}@[1-9][0-9]{0,3}$/),
  digest: Bytes32,
  inputs: z.array(TensorHeader).min(1).max(8),
  params: z.record(z.string().max(32), z.union([z.number(), z.string().max(64), z.boolean()])),
})
export type LibraryWork = z.infer<typeof LibraryWork>

/** `var<storage, read>`, `var<storage, read_write>` or `var<uniform>`. */
export const BufferAccess = z.enum(['read', 'read_write', 'uniform'])

/** A WGSL feature that a node says it has; a newer browser may name one that is not known here. */
export const FeatureName = z
  .string()
  .regex(/^[a-z][a-z0-9_]{0,63}$/, 'must be the name of a WGSL feature')

/** Features that a text may `enable` or `require`: https://www.w3.org/TR/WGSL/#extensions, and additions of the compiler in use. */
export const KernelFeature = z.enum([
  'f16',
  'subgroups',
  'clip_distances',
  'dual_source_blending',
  'primitive_index',
  'subgroup_size_control',
  'readonly_and_readwrite_storage_textures',
  'packed_4x8_integer_dot_product',
  'unrestricted_pointer_parameters',
  'pointer_composite_access',
  'uniform_buffer_standard_layout',
  'subgroup_id',
  'subgroup_uniformity',
  'texture_and_sampler_let',
  'texture_formats_tier1',
  'linear_indexing',
  'immediate_address_space',
  'swizzle_assignment',
  'buffer_view',
  'fragment_depth',
])

/** One buffer of a kernel, in `@group(0)`. */
export const KernelBuffer = z.strictObject({
  binding: z.int().min(0).max(15),
  access: BufferAccess,
  sizeBytes: z.int().min(4).max(LIMITS.kernelBufferBytes),
  /** True if the payload has its initial bytes; otherwise it starts with zeroes. */
  filled: z.boolean(),
  return: z.boolean(),
  /** True if the node keeps it for the session's next step, which starts with it unless `filled`. */
  keep: z.boolean().optional(),
})
export type KernelBuffer = z.infer<typeof KernelBuffer>

const Workgroups = z
  .tuple([z.int(), z.int(), z.int()])
  .refine((xyz) => xyz.every((n) => n >= 1 && n <= 65_535), 'each of x, y, z is 1 to 65535')

/** https://www.w3.org/TR/WGSL/#identifiers */
export const WgslIdentifier = z
  .string()
  .max(128)
  .regex(/^(?!__|_$)[_\p{XID_Start}][\p{XID_Continue}]*$/u, 'must be a WGSL identifier')

export const KernelWork = z.strictObject({
  kind: z.literal('kernel'),
  wgsl: z.string().min(1).max(LIMITS.wgslBytes),
  entryPoint: WgslIdentifier,
  workgroups: Workgroups,
  buffers: z.array(KernelBuffer).min(1).max(LIMITS.kernelBuffers),
  /** Features that a node must have to run it. */
  requires: z.array(FeatureName).max(LIMITS.kernelFeatures).optional(),
  digest: Bytes32,
  /** The session that its kept buffers belong to; the hub draws the id at random. Steps count from 1. */
  session: z.strictObject({ id: Bytes32, step: z.int().min(1) }).optional(),
})
export type KernelWork = z.infer<typeof KernelWork>

export const Work = z.discriminatedUnion('kind', [ModelWork, TextWork, LibraryWork, KernelWork])
export type Work = z.infer<typeof Work>

export function payloadBytes(work: Work): number {
  if (work.kind === 'text') return work.inputBytes
  return totalBytes(work.kind === 'kernel' ? work.buffers.filter((b) => b.filled) : work.inputs)
}

export function totalBytes(parts: readonly { readonly sizeBytes: number }[]): number {
  return parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
}

export function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1)
}

export const PROVIDERS = ['webgpu', 'wasm', 'cpu'] as const
export type Provider = (typeof PROVIDERS)[number]

/** The device that ran the job, in words: `google swiftshader`, software. */
export const Adapter = z.strictObject({
  name: z.string().max(128),
  /** True for a CPU that emulates a GPU, and for the cpu and wasm providers. */
  isSoftware: z.boolean(),
})
export type Adapter = z.infer<typeof Adapter>

/** Headers of an answer. A kernel's outputs are named `binding:N`, UINT8 `[sizeBytes]`. */
export const Answer = z.strictObject({
  outputs: z.array(TensorHeader).max(16),
  provider: z.enum(PROVIDERS),
  adapter: Adapter,
  computeMs: z.number().min(0),
})
export type Answer = z.infer<typeof Answer>

/** Cuts a payload into the tensors that `headers` describe, without copying. */
export function sliceTensors(headers: readonly TensorHeader[], payload: Uint8Array): Uint8Array[] {
  let offset = 0
  return headers.map((header) => payload.subarray(offset, (offset += header.sizeBytes)))
}
