/** Turns a message into a request by a JSON template, in which `$text`, `$json` and `$base64` stand for its payload. */
import { AppError } from '#shared/base/errors.ts'

/** @throws {AppError} invalid_request when the payload is not the text or JSON that the template expects */
export function fillTemplate(template: unknown, payload: Uint8Array): unknown {
  if (typeof template === 'string') return fillText(template, payload)
  if (Array.isArray(template)) return template.map((item) => fillTemplate(item, payload))
  if (typeof template !== 'object' || template === null) return template
  return Object.fromEntries(
    Object.entries(template).map(([name, value]) => [name, fillTemplate(value, payload)]),
  )
}

export function answerTopic(template: string, topic: string): string {
  return template.replaceAll('{topic}', topic)
}

/** Tells a topic from a filter. */
export function canPublishTo(topic: string): boolean {
  return topic !== '' && !/[+#\0]/.test(topic)
}

/** Tells whether answers could arrive as new messages, which would be an endless loop of paid requests. */
export function canLoop(from: string, to: string): boolean {
  const filter = from.replace(/^\$share\/[^/]+\//, '').split('/')
  return overlap(filter, to.replaceAll('{topic}', filter.join('/')).split('/'))
}

/** Tells whether two filters overlap: https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901241 */
function overlap(
  [first, ...rest]: readonly string[],
  [other, ...others]: readonly string[],
): boolean {
  if (first === '#' || other === '#') return true
  if (first === undefined || other === undefined) return first === other
  return (first === '+' || other === '+' || first === other) && overlap(rest, others)
}

function fillText(text: string, payload: Uint8Array): unknown {
  if (text === '$text') return decodeText(payload)
  if (text === '$base64') return Buffer.from(payload).toString('base64')
  if (text !== '$json') return text
  try {
    return JSON.parse(decodeText(payload)) as unknown
  } catch (cause) {
    throw new AppError('invalid_request', 'The message is not JSON.', { cause })
  }
}

function decodeText(payload: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(payload)
  } catch (cause) {
    throw new AppError('invalid_request', 'The message is not UTF-8 text.', { cause })
  }
}
