/** A transformers `config.json`, as far as it tells what a model is for. */
import { z } from 'zod'
import { AppError } from '#shared/base/errors.ts'
import type { ModelManifest } from '#shared/job/model.ts'

export interface ModelConfig {
  readonly architecture: string
  /** Undefined for an architecture that is run here for no task. */
  readonly task: ModelManifest['task'] | undefined
  readonly contextTokens: number | undefined
}

const Config = z.object({
  architectures: z.array(z.string()).optional(),
  model_type: z.string().optional(),
  max_position_embeddings: z.int().min(1).optional(),
})

/** @throws {AppError} invalid_request for a file that is no such configuration */
export function readConfig(bytes: Uint8Array): ModelConfig {
  let parsed: z.infer<typeof Config>
  try {
    parsed = Config.parse(JSON.parse(new TextDecoder().decode(bytes)))
  } catch (cause) {
    throw new AppError('invalid_request', 'Its config.json is no model configuration.', { cause })
  }
  const architecture = parsed.architectures?.[0] ?? parsed.model_type ?? 'unknown'
  return {
    architecture,
    task: taskOf(architecture),
    contextTokens: parsed.max_position_embeddings,
  }
}

/** `LlamaForCausalLM` writes, a bare `BertModel` embeds; anything else says nothing. */
function taskOf(architecture: string): ModelManifest['task'] | undefined {
  if (architecture.endsWith('ForCausalLM')) return 'chat'
  return /^[A-Za-z0-9]+Model$/.test(architecture) ? 'embedding' : undefined
}
