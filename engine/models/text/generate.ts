/** Generates text token by token, until the model ends, a stop sequence comes or the room is used up. */
import { faultsError } from '#shared/base/errors.ts'
import type { TextEnd, TextInput } from '#shared/job/text.ts'
import { cancelled } from '#shared/base/deadline.ts'
import type { ApplyTemplate } from './chat-template.ts'
import type { Constraint, ConstraintFactory } from './constraint.ts'
import type { Decoder } from './decoder.ts'
import { createRandom, likelihoods, sampleToken, type Sampling } from './sample.ts'
import { createSender, type Logprob, type Sender, type SenderOptions } from './sender.ts'
import { createTextOut } from './text-out.ts'
import type { Vocabulary } from './vocabulary.ts'
import { yieldTurn } from './yield-turn.ts'

export interface GenerateOptions extends Omit<SenderOptions, 'stallMs'> {
  readonly input: TextInput
  readonly maxTokens: number
}

/** @throws {AppError} invalid_request, cancelled; internal when the model fails */
export type Generate = (options: GenerateOptions) => Promise<void>

export interface TextModel {
  readonly vocabulary: Vocabulary
  readonly decoder: Decoder
  readonly applyTemplate: ApplyTemplate | undefined
  readonly constraints: ConstraintFactory
  readonly ends: ReadonlySet<number>
  /** Most tokens of prompt and answer together. */
  readonly contextTokens: number
}

export function createGenerate(model: TextModel): Generate {
  return async ({ input, maxTokens, signal, emit, now }) => {
    const prompt = encodePrompt(model, input)
    const constraint = model.constraints(input)
    const sender = createSender({ emit, signal, now })
    const room = Math.min(maxTokens, model.contextTokens - prompt.length)
    const { text, finish } = await write({ model, input, prompt, constraint, room, signal, sender })
    await sender.end(text, { type: 'end', finish, promptTokens: prompt.length })
  }
}

/** At least one id, and at least one less than the context holds. @throws {AppError} invalid_request, context_length_exceeded */
export function encodePrompt(model: TextModel, input: TextInput): number[] {
  const { vocabulary, applyTemplate, contextTokens } = model
  const maxTokens = contextTokens - 1
  if ((input.messages === undefined) === (input.prompt === undefined))
    throw faultsError([{ pointer: '/messages', detail: 'give either messages or a prompt' }])
  if (input.messages !== undefined && applyTemplate === undefined)
    throw faultsError([
      { pointer: '/messages', detail: 'this model has no chat template; give a prompt' },
    ])
  const ids =
    input.messages !== undefined && applyTemplate !== undefined
      ? vocabulary.encode(applyTemplate(input.messages), {
          withSpecial: false,
          maxTokens,
          pointer: '/messages',
        })
      : vocabulary.encode(input.prompt ?? '', { withSpecial: true, maxTokens, pointer: '/prompt' })
  if (ids.length === 0) throw faultsError([{ pointer: '/prompt', detail: 'is empty' }])
  return ids
}

export async function generateIds(
  model: TextModel,
  prompt: readonly number[],
  { maxTokens, signal }: Pick<GenerateOptions, 'maxTokens' | 'signal'>,
): Promise<number[]> {
  const ids: number[] = []
  const sequence = model.decoder.start()
  try {
    let logits = await sequence.feed(prompt, signal)
    for (;;) {
      const id = sampleToken(logits, GREEDY)
      if (model.ends.has(id)) return ids
      ids.push(id)
      if (ids.length >= maxTokens) return ids
      logits = await sequence.feed([id], signal)
    }
  } finally {
    sequence.dispose()
  }
}

const GREEDY: Sampling = { temperature: 0, topP: 1, random: () => 0 }

interface Writing {
  readonly model: TextModel
  readonly input: TextInput
  readonly prompt: readonly number[]
  readonly constraint: Constraint | undefined
  readonly room: number
  readonly signal: AbortSignal
  readonly sender: Sender
}

/** Sends every token. Returns the text that was held back, and the reason for the end. */
async function write(writing: Writing): Promise<{ text: string; finish: TextEnd['finish'] }> {
  const { model, input, constraint, room, signal, sender } = writing
  const { vocabulary, ends } = model
  const sampling = { ...input, random: createRandom(input.seed ?? randomSeed()) }
  const out = createTextOut(input.stop)
  const sequence = model.decoder.start()
  try {
    let logits = await sequence.feed(writing.prompt, signal)
    for (let written = 1; ; written++) {
      await yieldTurn()
      if (signal.aborted) throw cancelled()
      const id = constraint?.choose(logits, sampling) ?? sampleToken(logits, sampling)
      if (ends.has(id)) return { text: out.finish(), finish: 'stop' }
      const text = out.push(vocabulary.bytesOf(id))
      const logprob =
        input.logprobs === null ? undefined : logprobOf(vocabulary, logits, id, input.logprobs)
      await sender.token(id, text, logprob)
      constraint?.accept(id)
      if (out.isStopped || constraint?.isDone === true)
        return { text: out.finish(), finish: 'stop' }
      if (written >= room) return { text: out.finish(), finish: 'length' }
      logits = await sequence.feed([id], signal)
    }
  } finally {
    sequence.dispose()
  }
}

function logprobOf(
  vocabulary: Vocabulary,
  logits: Float32Array,
  id: number,
  alternatives: number,
): Logprob {
  const likely = likelihoods(logits, alternatives)
  const entry = (token: number) => ({
    token: vocabulary.nameOf(token),
    bytes: [...vocabulary.bytesOf(token)],
    logprob: likely.of(token),
  })
  return { ...entry(id), top: likely.top.map(entry) }
}

function randomSeed(): number {
  const [seed = 0] = crypto.getRandomValues(new Uint32Array(1))
  return seed
}
