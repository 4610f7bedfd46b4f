/** Reads the task and the context length from a transformers `config.json`. */
import { z } from 'zod'
import { AppError } from '#shared/base/errors.ts'
import type { ModelManifest } from '#shared/job/model.ts'

export interface ModelConfig {
  readonly architecture: string
  /** Undefined for an unknown architecture. */
  readonly task: ModelManifest['task'] | undefined
  readonly contextTokens: number | undefined
}

const Config = z.object({
  architectures: z.array(z.string()).optional(),
  model_type: z.string().optional(),
  max_position_embeddings: z.int().min(1).optional(),
})

/** @throws {AppError} invalid_request for a file that is not a model configuration */
export function readConfig(bytes: Uint8Array): ModelConfig {
  let parsed: z.infer<typeof Config>
  try {
    parsed = Config.parse(JSON.parse(new TextDecoder().decode(bytes)))
  } catch (cause) {
    throw new AppError('invalid_request', 'config.json is not a model configuration.', { cause })
  }
  const architecture = parsed.architectures?.[0] ?? parsed.model_type ?? 'unknown'
  return {
    architecture,
    task: taskOf(architecture),
    contextTokens: parsed.max_position_embeddings,
  }
}

/** `LlamaForCausalLM` is for chat, a bare `BertModel` for embeddings; others are unknown. */
function taskOf(architecture: string): ModelManifest['task'] | undefined {
  if (architecture.endsWith('ForCausalLM')) return 'chat'
  return /^[A-Za-z0-9]+Model$/.test(architecture) ? 'embedding' : undefined
}
