/** Converts pictures and sounds in requests (base64, data URLs, or files after the JSON) to one BYTES tensor. */
import type { ModelManifest, ModelTask } from '#shared/job/model.ts'
import { encodeBytes, splitBytes } from '#shared/job/tensor.ts'
import { decodeBase64 } from '#shared/base/base64.ts'
import type { InferTensor } from './oip.ts'
import { unnest, type ElementFault } from '#worker/body/tensor-json.ts'

/** Kind of file that a task's single input holds; absent for text and pixels. */
const FILES: Readonly<Partial<Record<ModelTask, 'image' | 'audio'>>> = {
  ocr: 'image',
  detection: 'image',
  'voice-activity': 'audio',
}

/** Most characters before the comma of a data URL. */
const DATA_URL_HEAD_CHARS = 16_384

/**
 * Frames the bytes of a file input; undefined for other inputs.
 * @param binary the input's bytes after the JSON
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
  if (!Array.isArray(data)) return { path: [], detail: `must be an array of ${kind}s in base64` }
  const items = unnest(data, shape)
  if (!Array.isArray(items)) return items
  const files: Uint8Array[] = []
  for (const [index, item] of items.entries()) {
    const file = typeof item === 'string' ? decodeFile(item, kind) : 'must be a base64 text'
    if (typeof file === 'string') return { path: [index], detail: file }
    files.push(file)
  }
  return encodeBytes(files)
}

/** Frames a bare file as one element. Its first four bytes, read as a length, exceed every allowed file. */
function frame(bytes: Uint8Array, elements: number): Uint8Array {
  const isFramed = splitBytes(bytes)?.length === elements
  return isFramed || elements !== 1 ? bytes : encodeBytes([bytes])
}

/** Type and parameters, up to the comma before the data. Quoted parameters may contain commas. */
const DATA_URL = /^data:((?:[^",]|"(?:[^"\\]|\\.)*")*),/is

/** @returns the file, or what is wrong with it */
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

/** Only the kind of the declared type counts; the file itself tells its format. */
function isOfKind(type: string, kind: string): boolean {
  return type === '' || type.startsWith(`${kind}/`) || type.startsWith('application/')
}

/**
 * Decodes base64 in lines, of either alphabet, with or without padding. A space within a line is
 * refused, because it may have been a plus sign.
 */
function decodeLoose(text: string): Uint8Array | undefined {
  const lines = text.trim().replaceAll(/[\r\n\f\t]+ */g, '')
  const plain = lines.replaceAll('-', '+').replaceAll('_', '/')
  return decodeBase64(plain.padEnd(Math.ceil(plain.length / 4) * 4, '='))
}
