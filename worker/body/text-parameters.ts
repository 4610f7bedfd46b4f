/**
 * OpenAI parameters that Littoral does not support. Each is refused by name, never silently
 * dropped, unless its value has no effect: `n: 1`, `presence_penalty: 0`, `modalities: ["text"]`.
 */
import type { FieldFault } from '#shared/base/errors.ts'
import { isNothing, isRecord, unknownMembers } from './unknown-members.ts'

/** Why a parameter is refused, and which of its values have no effect. */
export interface Refusal {
  readonly detail: string
  readonly neutral?: (value: unknown) => boolean
}
export type Refusals = Readonly<Record<string, Refusal>>

const NO_TOOLS = 'tools and functions are not supported'
const NO_AUDIO = 'audio is not supported; text is'
const NO_CACHE = 'there is no prompt cache'
const ONE_CHOICE = 'a request makes one choice; send it again for another'
const NO_PENALTY = 'penalties are not supported; 0 is accepted'

const is =
  (...values: readonly unknown[]) =>
  (value: unknown) =>
    values.includes(value)

const isTextOnly = (value: unknown) =>
  Array.isArray(value) && value.length === 1 && value[0] === 'text'

/**
 * Shared by chat and completions. Parameters from `top_k` on are not OpenAI's; many clients send
 * their neutral values. Other foreign parameters are judged in `open-body.ts`.
 */
const SHARED: Refusals = {
  n: { detail: ONE_CHOICE, neutral: is(1) },
  frequency_penalty: { detail: NO_PENALTY, neutral: is(0) },
  presence_penalty: { detail: NO_PENALTY, neutral: is(0) },
  logit_bias: { detail: 'biases of tokens are not supported', neutral: isNothing },
  service_tier: { detail: 'there is one tier', neutral: is('auto', 'default') },
  store: { detail: 'nothing is stored; only false is accepted', neutral: is(false) },
  top_k: { detail: 'is not supported; top_p is' },
  min_p: { detail: 'is not supported; top_p is', neutral: is(0) },
  repetition_penalty: { detail: NO_PENALTY.replace('0', '1'), neutral: is(1) },
  min_tokens: { detail: 'is not supported', neutral: is(0) },
  ignore_eos: { detail: 'is not supported', neutral: is(false) },
}

export const CHAT_REFUSALS: Refusals = {
  ...SHARED,
  tools: { detail: NO_TOOLS },
  tool_choice: { detail: NO_TOOLS, neutral: is('none') },
  parallel_tool_calls: { detail: NO_TOOLS },
  functions: { detail: NO_TOOLS },
  function_call: { detail: NO_TOOLS, neutral: is('none') },
  audio: { detail: NO_AUDIO },
  modalities: { detail: NO_AUDIO, neutral: isTextOnly },
  prediction: { detail: 'predicted outputs are not supported' },
  moderation: { detail: 'nothing is moderated here' },
  prompt_cache_options: { detail: NO_CACHE },
  prompt_cache_retention: { detail: NO_CACHE, neutral: is('in_memory') },
  reasoning_effort: { detail: 'no model here reasons before it answers', neutral: is('none') },
  verbosity: { detail: 'is not supported; ask for it in a message', neutral: is('medium') },
  web_search_options: { detail: 'no model here searches the web' },
  chat_template: { detail: "the model's own template is used" },
  chat_template_kwargs: { detail: "the model's own template is used", neutral: isNothing },
}

export const COMPLETION_REFUSALS: Refusals = {
  ...SHARED,
  best_of: { detail: ONE_CHOICE, neutral: is(1) },
  echo: { detail: 'the prompt is not repeated in the answer', neutral: is(false) },
  suffix: { detail: 'text is only continued, never filled in', neutral: is('') },
  response_format: { detail: 'is a parameter of /v1/chat/completions' },
  top_logprobs: { detail: 'is a parameter of /v1/chat/completions; here logprobs is a number' },
}

/** Members of a message besides role and content. */
const MESSAGE_REFUSALS: Refusals = {
  name: {
    detail: 'names of participants are not supported; say them in the content',
    neutral: isNothing,
  },
  tool_calls: { detail: NO_TOOLS, neutral: isNothing },
  tool_call_id: { detail: NO_TOOLS, neutral: isNothing },
  function_call: { detail: NO_TOOLS, neutral: isNothing },
  audio: { detail: NO_AUDIO, neutral: isNothing },
  refusal: { detail: 'is not supported; send it as content', neutral: isNothing },
}
const MESSAGE_MEMBERS = ['role', 'content', ...Object.keys(MESSAGE_REFUSALS)]
const PART_MEMBERS = ['type', 'text']

const ROLES: Readonly<Record<string, string>> = { tool: NO_TOOLS, function: NO_TOOLS }

const PARTS: Readonly<Record<string, string>> = {
  image_url: 'images are not supported; text is',
  input_audio: NO_AUDIO,
  file: 'files are not supported; text is',
  refusal: 'is not supported; send it as text',
}

/** Most messages of a request, and most parts of one message. */
export const MOST_MESSAGES = 256
export const MOST_PARTS = 64

/** Finds members that `refusals` names and whose values have an effect; null has none. */
export function refusedParameters(body: unknown, refusals: Refusals, root = ''): FieldFault[] {
  if (!isRecord(body)) return []
  return Object.entries(refusals).flatMap(([name, { detail, neutral }]) => {
    const value = Object.hasOwn(body, name) ? body[name] : undefined
    if (value === undefined || value === null || neutral?.(value) === true) return []
    return [{ pointer: `${root}/${name}`, detail }]
  })
}

/** Finds faults of a conversation: too many messages, or unsupported roles, members or content. */
export function refusedMessages(body: unknown): FieldFault[] {
  if (!isRecord(body) || !Array.isArray(body.messages)) return []
  const messages: readonly unknown[] = body.messages
  if (messages.length > MOST_MESSAGES) {
    const detail = `are ${messages.length} messages, at most ${MOST_MESSAGES}`
    return [{ pointer: '/messages', detail }]
  }
  return messages.flatMap((message, index) => refusedMessage(message, `/messages/${index}`))
}

function refusedMessage(message: unknown, root: string): FieldFault[] {
  if (!isRecord(message)) return []
  const role = known(ROLES, message.role)
  const faults = [
    ...refusedParameters(message, MESSAGE_REFUSALS, root),
    ...unknownMembers(message, MESSAGE_MEMBERS, root),
  ]
  if (role !== undefined) faults.push({ pointer: `${root}/role`, detail: role })
  if (!Array.isArray(message.content)) return faults
  const parts: readonly unknown[] = message.content
  if (parts.length > MOST_PARTS) {
    const detail = `has ${parts.length} parts, at most ${MOST_PARTS}`
    return [...faults, { pointer: `${root}/content`, detail }]
  }
  return [...faults, ...parts.flatMap((part, i) => refusedPart(part, `${root}/content/${i}`))]
}

function refusedPart(part: unknown, root: string): FieldFault[] {
  if (!isRecord(part)) return []
  const detail = known(PARTS, part.type)
  if (detail !== undefined) return [{ pointer: `${root}/type`, detail }]
  return unknownMembers(part, PART_MEMBERS, root)
}

function known(table: Readonly<Record<string, string>>, name: unknown): string | undefined {
  return typeof name === 'string' && Object.hasOwn(table, name) ? table[name] : undefined
}
