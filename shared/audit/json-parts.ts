/** Reads one JSON object in pieces, long lists one element at a time, so that no whole list is in memory. */
import { AppError } from '#shared/base/errors.ts'
import { endOfValue, faultAt, parseStrict, takeName } from '#shared/base/strict-json.ts'

/** Bound of one element or other member. An erasure of 10,000 entries has 80 KB. */
const MOST_CHARACTERS = 4_194_304

export type JsonPart =
  | { readonly kind: 'member'; readonly name: string; readonly value: unknown }
  | { readonly kind: 'list'; readonly name: string }
  | {
      readonly kind: 'element'
      readonly name: string
      readonly index: number
      readonly value: unknown
    }

export type Chunks = AsyncIterable<string> | Iterable<string>

/**
 * Yields parts in the document's order and holds one part at most.
 * @param lists members whose elements come one by one
 * @throws {AppError} invalid_request, with the path, for anything but JSON with exactly one reading
 */
export async function* readParts(
  chunks: Chunks,
  lists: ReadonlySet<string>,
): AsyncGenerator<JsonPart, void, undefined> {
  const source = createSource(chunks)
  const names = new Set<string>()
  await source.take('{', '')
  for await (const _ of separated(source, '}', '')) {
    const name = parseStrict(await source.value(''))
    if (typeof name !== 'string') throw faultAt('', 'not JSON, a member has no name')
    takeName(name, names, name)
    await source.take(':', name)
    if (lists.has(name) && (await source.peek()) === '[') {
      yield { kind: 'list', name }
      yield* readElements(source, name)
    } else yield { kind: 'member', name, value: parseStrict(await source.value(name), name) }
  }
  if ((await source.peek()) !== '') throw faultAt('', 'followed by something else')
}

async function* readElements(
  source: Source,
  name: string,
): AsyncGenerator<JsonPart, void, undefined> {
  await source.take('[', name)
  let index = 0
  for await (const _ of separated(source, ']', name)) {
    const at = `${name}.${index}`
    yield { kind: 'element', name, index, value: parseStrict(await source.value(at), at) }
    index += 1
  }
}

/** Yields before each item of a list or object, and consumes the closing character. */
async function* separated(source: Source, close: '}' | ']', at: string) {
  if ((await source.peek()) === close) return source.take(close, at)
  for (;;) {
    yield
    if ((await source.peek()) === close) return source.take(close, at)
    await source.take(',', at)
  }
}

/** Decodes UTF-8. @throws {AppError} invalid_request for other bytes */
export async function* decodeChunks(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  try {
    for await (const chunk of chunks) yield decoder.decode(chunk, { stream: true })
    yield decoder.decode()
  } catch (cause) {
    if (cause instanceof TypeError)
      throw new AppError('invalid_request', 'The document is not UTF-8.', { cause })
    throw cause
  }
}

type Source = ReturnType<typeof createSource>

function createSource(chunks: Chunks) {
  const iterator = toIterator(chunks)
  let buffer = ''
  let at = 0
  const more = async (): Promise<boolean> => {
    const next = await iterator.next()
    if (next.done === true) return false
    buffer = buffer.slice(at) + next.value
    at = 0
    return true
  }
  /** The next character that is not white space; empty at the end. */
  const peek = async (): Promise<string> => {
    for (;;) {
      for (; at < buffer.length; at += 1) {
        const character = buffer.charAt(at)
        if (character !== ' ' && character !== '\n' && character !== '\t' && character !== '\r')
          return character
      }
      if (!(await more())) return ''
    }
  }
  return {
    peek,

    async take(wanted: string, path: string): Promise<void> {
      const found = await peek()
      if (found !== wanted)
        throw faultAt(
          path,
          `not JSON, ${found === '' ? 'it ends' : found} where ${wanted} should be`,
        )
      at += 1
    },

    /** The text of the next value. */
    async value(path: string): Promise<string> {
      await peek()
      for (;;) {
        const end = endOfValue(buffer, at)
        if (end >= 0) {
          const text = buffer.slice(at, end)
          at = end
          return text
        }
        if (buffer.length - at > MOST_CHARACTERS)
          throw faultAt(path, `longer than ${MOST_CHARACTERS} characters`)
        if (!(await more())) throw faultAt(path, 'not JSON, the document ends within it')
      }
    },
  }
}

function toIterator(chunks: Chunks): AsyncIterator<string> | Iterator<string> {
  return Symbol.asyncIterator in chunks ? chunks[Symbol.asyncIterator]() : chunks[Symbol.iterator]()
}
