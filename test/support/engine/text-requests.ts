/** Bodies of chat and completion requests, and their outcome. */
import { toAppError } from '#shared/base/errors.ts'
import { TextInput } from '#shared/job/text.ts'
import { decodeChat, parseChat } from '#worker/api/openai/chat.ts'
import { decodeCompletion, parseCompletion } from '#worker/api/openai/completions.ts'
import { CHAT_MANIFEST } from './text-answers.ts'

export const HELLO = [{ role: 'user', content: 'hello' }]

/** A valid request with these members set. */
export function chat(body: object, manifest = CHAT_MANIFEST) {
  const priced = decodeChat(
    manifest,
    parseChat({ model: 'chat-test', messages: HELLO, ...body }).request,
  )
  return { ...priced, input: inputOf(priced.payload) }
}

export function complete(body: object, manifest = CHAT_MANIFEST) {
  const request = parseCompletion({ model: 'chat-test', prompt: 'once', ...body }).request
  const priced = decodeCompletion(manifest, request)
  return { ...priced, input: inputOf(priced.payload) }
}

function inputOf(payload: Uint8Array): TextInput {
  return TextInput.parse(JSON.parse(new TextDecoder().decode(payload)))
}

/** The error of the request, or code `none`. */
export function refusal(run: () => unknown): { code: string; pointers: string[]; detail: string } {
  try {
    run()
  } catch (error) {
    const { code, meta, detail } = toAppError(error)
    return { code, detail, pointers: (meta.errors ?? []).map(({ pointer }) => pointer) }
  }
  return { code: 'none', detail: '', pointers: [] }
}
