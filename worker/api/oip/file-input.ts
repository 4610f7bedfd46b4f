/** Pictures and sounds as requests bring them: base64 and data URLs in JSON, files after it, all to one BYTES tensor. */
import type { ModelManifest, ModelTask } from '#shared/job/model.ts'
import { encodeBytes, splitBytes } from '#shared/job/tensor.ts'
import { decodeBase64 } from '#shared/base/base64.ts'
import type { InferTensor } from './oip.ts'
import { unnest, type ElementFault } from '#worker/body/tensor-json.ts'

/** What a task's one input is a file of; text and pixels are no files. */
const FILES: Readonly<Partial<Record<ModelTask, 'image' | 'audio'>>> = {
  ocr: 'image',
  detection: 'image',
  'voice-activity': 'audio',
}

/** What stands before the comma of a data URL, at most. */
const DATA_URL_HEAD_CHARS = 16_384

/**
 * The framed bytes of a file input; undefined for an input that is none.
 * @param binary what came for it after the JSON
 */
export function encodeFiles(
  { task }: Pick<ModelManifest, 'task'>,
  tensor: InferTensor,
  binary: Uint8Array | undefined,
): Uint8Array | ElementFault | undefined {
  const kind = FILES[task]
  if (kind === undefined || tensor.datatype !== 'BYTES') return undefined
  const { data, shape } = tensor
  const elements = shape.reduce((product, size) => product * size, 1)
  if (binary !== undefined) return frame(binary, elements)
  if (typeof data === 'string') {
    const file = decodeFile(data, kind)
    return typeof file === 'string' ? { path: [], detail: file } : frame(file, elements)
  }
  if (!Array.isArray(data)) return { path: [], detail: `must be an array of base64 of ${kind}s` }
  const items = unnest(data, shape)
  if (!Array.isArray(items)) return items
  const files: Uint8Array[] = []
  for (const [index, item] of items.entries()) {
    const file = typeof item === 'string' ? decodeFile(item, kind) : 'must be a text of base64'
    if (typeof file === 'string') return { path: [index], detail: file }
    files.push(file)
  }
  return encodeBytes(files)
}

/** A file alone is one element: its first four bytes, read as a length, are far more than any file here may have. */
function frame(bytes: Uint8Array, elements: number): Uint8Array {
  const isFramed = splitBytes(bytes)?.length === elements
  return isFramed || elements !== 1 ? bytes : encodeBytes([bytes])
}

/** Its type and parameters, of which a quoted one may hold commas, to the comma before the data. */
const DATA_URL = /^data:((?:[^",]|"(?:[^"\\]|\\.)*")*),/is

/** @returns what is wrong with it, in words, when something is */
function decodeFile(text: string, kind: 'image' | 'audio'): Uint8Array | string {
  const plain = text.trim()
  if (!/^data:/i.test(plain)) return decodeLoose(plain) ?? NEITHER
  const [head, about = ''] = DATA_URL.exec(plain.slice(0, DATA_URL_HEAD_CHARS)) ?? []
  if (head === undefined) return NEITHER
  const [type = ''] = about.toLowerCase().split(';', 1)
  if (!isOfKind(type.trim(), kind))
    return `is a data URL of ${type.trim().slice(0, 40)}, expected ${kind}/…`
  if (!/;\s*base64\s*$/i.test(about)) return 'is a data URL without ";base64"'
  return decodeLoose(urlBody(plain.slice(head.length))) ?? NEITHER
}

const NEITHER = 'is neither base64 nor a data URL of base64, or was cut off'

/** The data of a data URL: https://fetch.spec.whatwg.org/#data-url-processor */
function urlBody(text: string): string {
  const end = text.indexOf('#')
  const body = end === -1 ? text : text.slice(0, end)
  if (!body.includes('%')) return body
  return body
    .replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
    .trim()
}

/** The file itself says what it is: of the type that a data URL names only the kind counts. */
function isOfKind(type: string, kind: string): boolean {
  return type === '' || type.startsWith(`${kind}/`) || type.startsWith('application/')
}

/**
 * Base64 as programs write files: in lines, of either alphabet, with or without its padding. A space within a line is refused:
 * it may have been a plus sign.
 */
function decodeLoose(text: string): Uint8Array | undefined {
  const lines = text.trim().replaceAll(/[\r\n\f\t]+ */g, '')
  const plain = lines.replaceAll('-', '+').replaceAll('_', '/')
  return decodeBase64(plain.padEnd(Math.ceil(plain.length / 4) * 4, '='))
}
