/** Renders a conversation with the model's Jinja template, within a budget of steps. */
import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja'
import { AppError, errorCode, faultsError } from '#shared/base/errors.ts'
import { LIMITS, KIB } from '#shared/base/limits.ts'
import type { ChatMessage } from '#shared/job/text.ts'

export const CHAT_TEMPLATE_BYTES = 64 * KIB
/** Expressions that a chat template may evaluate. A message needs a few dozen. */
const CHAT_TEMPLATE_STEPS = 100_000

export type ApplyTemplate = (messages: readonly ChatMessage[]) => string

// The package's types import files without extensions, which this module resolution cannot follow.
interface Variables {
  set(name: string, value: unknown): unknown
}
interface Evaluator {
  run(program: unknown): { readonly value: unknown }
  evaluate(statement: unknown, environment: unknown): unknown
}
const Scope = Environment as unknown as new () => Variables
const Base = Interpreter as unknown as new (environment: Variables) => Evaluator
const read = (template: string): unknown =>
  (parse as (tokens: unknown) => unknown)(
    (tokenize as (text: string, options: object) => unknown)(template, {
      lstrip_blocks: true,
      trim_blocks: true,
    }),
  )

/**
 * @param tokens special tokens by the names that templates use, `bos_token` and `eos_token`
 * @throws {AppError} internal for a template that cannot be read. The returned function throws invalid_request for a
 * conversation that the template refuses, and internal when it exceeds its budget
 */
export function createChatTemplate(
  template: string,
  tokens: Readonly<Record<string, string>>,
): ApplyTemplate {
  if (template.length > CHAT_TEMPLATE_BYTES)
    throw new AppError('internal', `A chat template is longer than ${CHAT_TEMPLATE_BYTES} bytes.`)
  const program = read(template)
  return (messages) => {
    const environment = new Scope()
    setGlobals(environment, tokens)
    environment.set('messages', messages.map(toTemplateMessage))
    environment.set('add_generation_prompt', true)
    try {
      const text = new BoundedInterpreter(environment).run(program).value
      if (typeof text === 'string' && text.length <= LIMITS.textInputBytes * 2) return text
      throw new AppError('internal', 'The chat template returned no text, or too long a text.')
    } catch (cause) {
      if (errorCode(cause) !== undefined) throw cause
      throw new AppError('internal', 'The chat template failed.', { cause })
    }
  }
}

/** Counts evaluated statements: a template is untrusted data and may loop. */
class BoundedInterpreter extends Base {
  private steps = 0

  override evaluate(statement: unknown, environment: unknown): unknown {
    this.steps += 1
    if (this.steps > CHAT_TEMPLATE_STEPS)
      throw new AppError('internal', `A chat template took over ${CHAT_TEMPLATE_STEPS} steps.`)
    return super.evaluate(statement, environment)
  }
}

function setGlobals(environment: Variables, tokens: Readonly<Record<string, string>>): void {
  for (const [name, value] of [
    ['true', true],
    ['false', false],
    ['none', null],
  ] as const) {
    environment.set(name, value)
    environment.set(`${name.charAt(0).toUpperCase()}${name.slice(1)}`, value)
  }
  for (const [name, value] of Object.entries(tokens)) environment.set(name, value)
  environment.set('raise_exception', (message: unknown) => {
    const reason = String(message).slice(0, 200)
    throw faultsError([
      { pointer: '/messages', detail: `the model's chat template refuses it: ${reason}` },
    ])
  })
  environment.set('range', boundedRange)
}

function boundedRange(first: number, end?: number, step = 1): number[] {
  const [from, to] = end === undefined ? [0, first] : [first, end]
  const count = Math.max(0, Math.ceil((to - from) / step))
  if (!(count <= CHAT_TEMPLATE_STEPS)) throw new Error(`range of ${count}`)
  return Array.from({ length: count }, (_, i) => from + i * step)
}

/** `developer` is a newer name for `system`, which the templates of these models do not know. */
function toTemplateMessage({ role, content }: ChatMessage) {
  return { role: role === 'developer' ? 'system' : role, content }
}
