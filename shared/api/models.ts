/** Models and library kernels as the API lists them. */
import { z } from 'zod'
import { Bytes32 } from '#shared/base/ids.ts'
import { MODEL_TASKS, ModelManifest, ModelTensor } from '#shared/job/model.ts'

export const ServerReply = z.object({
  name: z.string(),
  version: z.string(),
  extensions: z.array(z.string()),
})

export const LiveReply = z.object({ live: z.literal(true) })

export const KernelsReply = z.object({
  object: z.literal('list'),
  data: z.array(
    z.object({
      kernel: z.string(),
      /** The kernel's name in receipts: sha-256 over its specification and WGSL. */
      digest: Bytes32,
      title: z.string(),
      inputs: z.array(
        z.object({
          name: z.string(),
          datatypes: z.array(z.string()),
          rank: z.array(z.int()),
          shape: z.string(),
        }),
      ),
      params: z.record(
        z.string(),
        z.object({
          type: z.enum(['integer', 'number', 'boolean', 'choice']),
          default: z.union([z.number(), z.string(), z.boolean()]).optional(),
          min: z.number().optional(),
          max: z.number().optional(),
          choices: z.array(z.string()).optional(),
          about: z.string(),
        }),
      ),
      outputs: z.array(z.object({ name: z.string(), shape: z.string() })),
      limits: z.string(),
      tolerance: z.object({ value: z.number(), of: z.string() }),
      price: z.object({
        microUsdPerUnit: z.number(),
        operationsPerUnit: z.number(),
        operations: z.string(),
      }),
    }),
  ),
})

/** The Open Inference Protocol writes -1 for a free size. */
const FaceTensor = ModelTensor.extend({ shape: z.array(z.int().min(-1)) })

export const ModelReply = z.object({
  name: z.string(),
  versions: z.array(Bytes32),
  platform: z.string(),
  inputs: z.array(FaceTensor),
  outputs: z.array(FaceTensor),
  title: z.string(),
  task: z.string(),
  licence: z.string(),
  unit: ModelManifest.shape.unit,
  price_micro_usd: z.int(),
})

export const ModelReadyReply = z.object({
  name: z.string(),
  ready: z.literal(true),
  nodes: z.int().min(1),
})

export const ListedModelReply = z.object({
  id: z.string(),
  object: z.literal('model'),
  created: z.int(),
  owned_by: z.string(),
  title: z.string(),
  task: z.enum(MODEL_TASKS),
  licence: z.string(),
  digest: Bytes32,
  size_bytes: z.int(),
  /** Most tokens of prompt and answer together; null for models without text. */
  context_tokens: z.int().nullable(),
  unit: ModelManifest.shape.unit,
  price_micro_usd: z.int(),
  /** Live nodes that have the model loaded. */
  nodes: z.int(),
  /** Live nodes that could load the model. */
  loadable: z.int(),
  /** `warm` answers now, `cold` after a load, `unavailable` not at all. A policy may allow less. */
  status: z.enum(['warm', 'cold', 'unavailable']),
  countries: z.array(z.object({ country: z.string(), warm: z.int(), loadable: z.int() })),
  /** Nodes that have the model loaded, by runtime provider. */
  providers: z.record(z.string(), z.int()),
})

export const ModelsReply = z.object({
  object: z.literal('list'),
  data: z.array(ListedModelReply),
})
