/** Loads a chat model from the hub's transformers layout: graph, config, tokenizer, template. */
import { z } from 'zod'
import { AppError, invariant } from '#shared/base/errors.ts'
import type { Provider } from '#shared/job/job.ts'
import type { ModelManifest } from '#shared/job/model.ts'
import { decodeTexts, type TensorValue } from '#shared/job/tensor.ts'
import type { ModelFiles, ModelRunner, OpenSession } from './runner.ts'
import { createChatTemplate, type ApplyTemplate } from '#engine/models/text/chat-template.ts'
import { createConstraints } from '#engine/models/text/constraint.ts'
import { cacheOutputs, createDecoder, DecoderConfig } from '#engine/models/text/decoder.ts'
import {
  createGenerate,
  encodePrompt,
  generateIds,
  type TextModel,
} from '#engine/models/text/generate.ts'
import { createVocabulary } from '#engine/models/text/vocabulary.ts'

export interface TextRunnerOptions {
  readonly manifest: Pick<ModelManifest, 'id' | 'contextTokens'>
  readonly files: ModelFiles
  readonly provider: Provider
  readonly open: OpenSession
  readonly now: () => number
}

/** Tokens of a golden run: enough for a sentence, few enough for an emulated GPU. */
const GOLDEN_TOKENS = 24

const GenerationConfig = z.looseObject({
  eos_token_id: z.union([z.int(), z.array(z.int()).max(16)]).nullish(),
})
const NamedToken = z.union([z.string(), z.looseObject({ content: z.string() })])
const TokenizerConfig = z.looseObject({
  bos_token: NamedToken.nullish(),
  eos_token: NamedToken.nullish(),
  chat_template: z
    .union([z.string(), z.array(z.looseObject({ name: z.string(), template: z.string() }))])
    .nullish(),
})

/** `run` is greedy, from one user's message `[1]` to ids `[n]`; `generate` takes a whole request. */
export async function createTextRunner(options: TextRunnerOptions): Promise<ModelRunner> {
  const model = await loadTextModel(options)
  return {
    generate: createGenerate(model),
    async run([prompt], signal) {
      invariant(prompt !== undefined, 'checkTensors passed one prompt')
      const [content = ''] = decodeTexts(prompt.bytes)
      const ids = await generateIds(model, encodePrompt(model, userSays(content)), {
        maxTokens: GOLDEN_TOKENS,
        signal,
      })
      return [toTensor(ids)]
    },
  }
}

async function loadTextModel(options: TextRunnerOptions): Promise<TextModel> {
  const { manifest, files, provider, open, now } = options
  const text = (name: string) => {
    const bytes = files.get(name)
    return bytes === undefined ? undefined : new TextDecoder().decode(bytes)
  }
  const need = (name: string) => {
    const found = text(name)
    if (found !== undefined) return found
    throw new AppError('internal', `${manifest.id} has no ${name}.`)
  }
  const config = DecoderConfig.parse(JSON.parse(need('config.json')))
  const generation = GenerationConfig.parse(JSON.parse(text('generation_config.json') ?? '{}'))
  const tokenizerConfig = need('tokenizer_config.json')
  const vocabulary = createVocabulary(need('tokenizer.json'), tokenizerConfig)
  const session = await open(graphFile(files), {
    onDevice: cacheOutputs(config),
    isStepwise: true,
  })
  const ends = new Set([generation.eos_token_id ?? config.eos_token_id ?? []].flat())
  return {
    vocabulary,
    decoder: createDecoder(session, config, provider === 'webgpu' ? now : undefined),
    applyTemplate: templateOf(
      TokenizerConfig.parse(JSON.parse(tokenizerConfig)),
      text('chat_template.jinja'),
    ),
    constraints: createConstraints(vocabulary, ends),
    ends,
    contextTokens: Math.min(
      manifest.contextTokens ?? Infinity,
      config.max_position_embeddings ?? Infinity,
    ),
  }
}

/** Finds the only graph of the layout: its name depends on its quantization. */
function graphFile(files: ModelFiles): string {
  const [name, ...others] = [...files.keys()].filter((file) => file.endsWith('.onnx'))
  if (name !== undefined && others.length === 0) return name
  throw new AppError('internal', 'A chat model has exactly one .onnx file.')
}

function templateOf(
  config: z.infer<typeof TokenizerConfig>,
  file: string | undefined,
): ApplyTemplate | undefined {
  const { chat_template: known } = config
  const template =
    file ??
    (typeof known === 'string' ? known : known?.find(({ name }) => name === 'default')?.template)
  if (template === undefined) return undefined
  const name = (token: z.infer<typeof NamedToken> | null | undefined) =>
    (typeof token === 'string' ? token : token?.content) ?? ''
  return createChatTemplate(template, {
    bos_token: name(config.bos_token),
    eos_token: name(config.eos_token),
  })
}

function userSays(content: string) {
  return {
    messages: [{ role: 'user' as const, content }],
    temperature: 0,
    topP: 1,
    seed: null,
    stop: [],
    logprobs: null,
    format: { type: 'text' as const },
  }
}

function toTensor(ids: readonly number[]): TensorValue {
  return {
    shape: [ids.length],
    bytes: new Uint8Array(BigInt64Array.from(ids, BigInt).buffer),
  }
}
