/** Checks what a WAV file declares against its actual bytes, before a decoder allocates for it. */
import { badMedia } from './media-fault.ts'

export const AUDIO_CHANNELS = 8

/** PCM, float, A-law and µ-law. ADPCM is not supported. */
const BITS: Readonly<Record<number, readonly number[]>> = {
  1: [8, 16, 24, 32],
  3: [32, 64],
  6: [8],
  7: [8],
}
const EXTENSIBLE = 0xfffe
const EXTENSIBLE_BYTES = 40
/** End of the format's GUID after its number: https://www.rfc-editor.org/rfc/rfc2361#section-4 */
const GUID_TAIL = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]

/**
 * Programs that write to a pipe do not know the size yet. They write 0, 2^31, 2^32 − 1 or slightly less. Sizes from
 * 16 MiB below 2^31 up count as unknown.
 */
const UNKNOWN_FROM_BYTES = 0x7f00_0000
/** In RF64 another chunk holds the size, in 64 bits: https://tech.ebu.ch/docs/tech/tech3306.pdf */
const ELSEWHERE = 0xffff_ffff

/** Reduces the file to its format and the whole frames of its sound. @throws {AppError} invalid_request */
export function cleanWav(file: Uint8Array): Uint8Array {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  let format: Uint8Array | undefined
  let sound: Uint8Array | undefined
  let longBytes = 0
  for (let at = 12; at + 8 <= file.length;) {
    const type = String.fromCharCode(...file.subarray(at, at + 4))
    const written = view.getUint32(at + 4, true)
    const sizeBytes = type === 'data' && written === ELSEWHERE ? longBytes : written
    const isEmpty = sizeBytes === 0 && areChunks(view, at + 8)
    const isOpen =
      type === 'data' && !isEmpty && (sizeBytes === 0 || sizeBytes >= UNKNOWN_FROM_BYTES)
    const end = isOpen ? file.length : at + 8 + sizeBytes
    if (end > file.length) break
    const data = file.subarray(at + 8, end)
    if (type === 'data') {
      if (format === undefined) throw badMedia('is a WAV file without a format')
      if (sound !== undefined) throw badMedia('is a WAV file with two parts of sound')
      sound = data
    }
    const fields = new DataView(data.buffer, data.byteOffset, data.byteLength)
    if (type === 'fmt ') {
      if (format !== undefined) throw badMedia('is a WAV file with two formats')
      checkFormat(fields)
      format = data
    }
    if (type === 'ds64' && sizeBytes >= 16) longBytes = Number(fields.getBigUint64(8, true))
    // A chunk of odd size is followed by a padding byte.
    at = end + (sizeBytes & 1)
  }
  if (format === undefined || sound === undefined) throw badMedia('is a WAV file that is cut off')
  if (sound.length === 0) throw badMedia('holds no sound')
  return joinWav(format, sound)
}

/** Tells whether only chunks follow to the end of the file: a size of 0 then means no sound. */
function areChunks(view: DataView, from: number): boolean {
  let at = from
  while (at + 8 <= view.byteLength) {
    for (let i = at; i < at + 4; i++)
      if (view.getUint8(i) < 0x20 || view.getUint8(i) > 0x7e) return false
    const sizeBytes = view.getUint32(at + 4, true)
    at += 8 + sizeBytes + (sizeBytes & 1)
  }
  return at === view.byteLength || at === view.byteLength + 1
}

function joinWav(format: Uint8Array, sound: Uint8Array): Uint8Array {
  const frameBytes = new DataView(format.buffer, format.byteOffset).getUint16(12, true)
  const data = sound.subarray(0, sound.length - (sound.length % frameBytes))
  const file = new Uint8Array(12 + 8 + format.length + 8 + data.length)
  const view = new DataView(file.buffer)
  const put = (at: number, type: string, sizeBytes: number) => {
    for (let i = 0; i < 4; i++) file[at + i] = type.charCodeAt(i)
    view.setUint32(at + 4, sizeBytes, true)
  }
  put(0, 'RIFF', file.length - 8)
  put(8, 'WAVE', 0)
  put(12, 'fmt ', format.length)
  file.set(format, 20)
  put(20 + format.length, 'data', data.length)
  file.set(data, 28 + format.length)
  return file
}

function checkFormat(format: DataView): void {
  if (format.byteLength < 16) throw badMedia('is a WAV file whose format is cut off')
  const tag = format.getUint16(0, true)
  const isExtensible = tag === EXTENSIBLE
  if (isExtensible) checkExtension(format)
  const codec = isExtensible ? format.getUint16(24, true) : tag
  const channels = format.getUint16(2, true)
  const rateHz = format.getUint32(4, true)
  const bytesPerSecond = format.getUint32(8, true)
  const frameBytes = format.getUint16(12, true)
  const bits = format.getUint16(14, true)
  if (BITS[codec]?.includes(bits) !== true)
    throw badMedia(`is a WAV file of an unsupported kind (format ${codec}, ${bits} bits)`)
  if (channels < 1 || channels > AUDIO_CHANNELS)
    throw badMedia(`has ${channels} channels, 1 to ${AUDIO_CHANNELS} are allowed`)
  if (frameBytes !== (channels * bits) / 8)
    throw badMedia(
      `is a WAV file whose frames are ${frameBytes} bytes for ${channels} × ${bits} bits`,
    )
  if (bytesPerSecond !== rateHz * frameBytes)
    throw badMedia(
      `is a WAV file of ${bytesPerSecond} bytes a second, and ${rateHz} × ${frameBytes} bytes a second`,
    )
}

function checkExtension(format: DataView): void {
  if (format.byteLength < EXTENSIBLE_BYTES) throw badMedia('is a WAV file whose format is cut off')
  if (GUID_TAIL.some((byte, i) => format.getUint8(26 + i) !== byte))
    throw badMedia('is a WAV file of an unsupported kind (its format is not registered)')
  const [bits, valid] = [format.getUint16(14, true), format.getUint16(18, true)]
  if (valid > bits)
    throw badMedia(`is a WAV file with ${valid} bits of sound in samples of ${bits}`)
}
