/** Messages between the chat bench and its direct end. */
import type { Provider } from '#shared/job/job.ts'
import type { TextInput } from '#shared/job/text.ts'
import type { TextTiming } from '../harness/direct-text.ts'

export interface AskDirect {
  readonly model: string
  readonly provider: Provider
  readonly input: TextInput
  readonly maxTokens: number
}

export type FromDirect = { readonly timing: TextTiming } | { readonly error: string }
