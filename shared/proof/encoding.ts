/**
 * Canonical bytes of structs: the fields in their order, numbers big-endian, without padding. A value has one encoding,
 * and an encoding one value. The fields also name their Solidity types, from which the contracts' encoder is generated.
 */
import type { Hex } from 'viem'
import { AppError } from '#shared/base/errors.ts'

/** How one field is written and read. */
export interface Field<T> {
  write(into: Writer, value: T): void
  /** @throws {AppError} invalid_request for bytes that no value has */
  read(from: Reader): T
  readonly solidity: SolidityField
}

/** A Solidity type; or a struct's fields by name, which are written in place. */
export type SolidityField = string | ReadonlyMap<string, SolidityField>

export class Writer {
  /** Replaced when it grows, so read it after {@link reserve}. */
  bytes = new Uint8Array(1_024)
  #at = 0

  /** Reserves the next `size` bytes. @returns where they begin */
  reserve(size: number): number {
    const start = this.#at
    const end = start + size
    if (end > this.bytes.length) {
      const larger = new Uint8Array(Math.max(end, 2 * this.bytes.length))
      larger.set(this.bytes)
      this.bytes = larger
    }
    this.#at = end
    return start
  }

  /** A copy of everything that was written. */
  written(): Uint8Array<ArrayBuffer> {
    return this.bytes.slice(0, this.#at)
  }

  /** Begins afresh, in the same memory. */
  restart(): void {
    this.#at = 0
  }
}

export class Reader {
  readonly bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  /** Passes over the next `size` bytes. @returns where they begin */
  pass(size: number): number {
    const start = this.#at
    if (start + size > this.bytes.length) broken('it is cut short')
    this.#at = start + size
    return start
  }

  take(size: number): Uint8Array {
    const start = this.pass(size)
    return this.bytes.subarray(start, start + size)
  }

  get isAtEnd(): boolean {
    return this.#at === this.bytes.length
  }
}

export function encode<T>(field: Field<T>, value: T): Uint8Array<ArrayBuffer> {
  // One writer serves all: a new one costs more than what most structs write. Bytes of a field that encodes inside
  // another, or that throws, stay where they are.
  const writer = idle ?? new Writer()
  idle = undefined
  writer.restart()
  field.write(writer, value)
  if (writer.bytes.length <= KEPT_BYTES) idle = writer
  return writer.written()
}

/** A writer that grew beyond this is not kept. */
const KEPT_BYTES = 65_536
let idle: Writer | undefined

/** @throws {AppError} invalid_request for bytes that are not exactly one value */
export function decode<T>(field: Field<T>, bytes: Uint8Array): T {
  const reader = new Reader(bytes)
  const value = field.read(reader)
  if (!reader.isAtEnd) broken('bytes follow it')
  return value
}

/** A whole number of `size` bytes, at most 2^53 - 1. */
export function uint(size: 1 | 2 | 4 | 8): Field<number> {
  const most = Math.min(Number.MAX_SAFE_INTEGER, 2 ** (8 * size) - 1)
  return {
    solidity: `uint${8 * size}`,
    write(into, value) {
      if (!Number.isInteger(value) || value < 0 || value > most)
        throw new RangeError(`${value} is no whole number from 0 to ${most}`)
      const start = into.reserve(size)
      let rest = value
      for (let at = start + size - 1; at >= start; at -= 1) {
        into.bytes[at] = rest % 256
        rest = Math.floor(rest / 256)
      }
    },
    read(from) {
      const start = from.pass(size)
      let value = 0
      for (let at = start; at < start + size; at += 1) value = value * 256 + (from.bytes[at] ?? 0)
      return value > most ? broken(`it has a number over ${most}`) : value
    },
  }
}

function writeByte(into: Writer, byte: number): void {
  const at = into.reserve(1)
  into.bytes[at] = byte
}

function readByte(from: Reader): number {
  const at = from.pass(1)
  return from.bytes[at] ?? 0
}

const AMOUNT_BYTES = 16

/** An amount of micro-dollars as a decimal string, in 16 bytes. */
export const amount: Field<string> = {
  solidity: 'uint128',
  write(into, value) {
    const number = BigInt(value)
    if (number < 0n || number >= 1n << 128n || number.toString() !== value)
      throw new RangeError(`${value} is no amount of micro-dollars below 2^128`)
    writeHex(into, AMOUNT_BYTES, `0x${number.toString(16).padStart(2 * AMOUNT_BYTES, '0')}`)
  },
  read: (from) => BigInt(readHex(from, AMOUNT_BYTES)).toString(),
}

/** `size` bytes as lower-case hex. */
function fixed(size: number, solidity: string): Field<Hex> {
  return {
    solidity,
    write(into, value) {
      if (value.length !== 2 + 2 * size)
        throw new RangeError(`${value} does not have ${size} bytes`)
      writeHex(into, size, value)
    },
    read: (from) => readHex(from, size),
  }
}

/** Straight between text and place: an array for each value would double the cost, and a receipt has forty of them. */
function writeHex(into: Writer, size: number, hex: Hex): void {
  const start = into.reserve(size)
  for (let i = 0; i < size; i += 1) {
    const [high, low] = [digitAt(hex, 2 * i + 2), digitAt(hex, 2 * i + 3)]
    into.bytes[start + i] = 16 * high + low
  }
}

function readHex(from: Reader, size: number): Hex {
  const start = from.pass(size)
  let hex: Hex = '0x'
  for (let at = start; at < start + size; at += 1) hex += BYTES_AS_HEX[from.bytes[at] ?? 0]
  return hex
}

const BYTES_AS_HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

function digitAt(hex: Hex, index: number): number {
  const code = hex.charCodeAt(index)
  if (code >= 48 && code <= 57) return code - 48
  const letter = code | 32
  if (letter >= 97 && letter <= 102) return letter - 87
  throw new RangeError(`${hex} is not hexadecimal`)
}

/** 32 bytes: a hash or a coordinate. */
export const word = fixed(32, 'bytes32')
/** 32 bytes: a set of countries. */
export const bits = fixed(32, 'uint256')
/** 20 bytes: an account or a contract. */
export const account = fixed(20, 'address')
/** 64 bytes: a P-256 signature. */
export const signatureBytes = fixed(64, 'bytes')

export const flag: Field<boolean> = {
  solidity: 'bool',
  write(into, value) {
    writeByte(into, value ? 1 : 0)
  },
  read(from) {
    const byte = readByte(from)
    return byte > 1 ? broken('it has a truth value that is neither 0 nor 1') : byte === 1
  },
}

/** One of a list of words, as its index in one byte. The list may only grow at its end. */
export function oneOf<T extends string>(list: readonly T[]): Field<T> {
  return {
    solidity: 'uint8',
    write(into, value) {
      const index = list.indexOf(value)
      if (index < 0) throw new RangeError(`${value} is not one of ${list.join(', ')}`)
      writeByte(into, index)
    },
    read(from) {
      const value = list[readByte(from)]
      return value ?? broken(`it has none of ${list.join(', ')}`)
    },
  }
}

const TEXT_BYTES = 255
const UTF8 = {
  encoder: new TextEncoder(),
  decoder: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }),
}

/** Text of at most 255 bytes of UTF-8, after its length in one byte. `T` is the form that the text has. */
export function text<T extends string = string>(): Field<T> {
  return {
    solidity: 'string',
    write(into, value) {
      if (!value.isWellFormed()) throw new RangeError('A text has half of a surrogate pair')
      const bytes = UTF8.encoder.encode(value)
      if (bytes.length > TEXT_BYTES)
        throw new RangeError(`A text of ${bytes.length} bytes is over ${TEXT_BYTES}`)
      writeByte(into, bytes.length)
      const start = into.reserve(bytes.length)
      into.bytes.set(bytes, start)
    },
    read(from) {
      const bytes = from.take(readByte(from))
      try {
        return UTF8.decoder.decode(bytes) as T
      } catch {
        return broken('it has a text that is not UTF-8')
      }
    },
  }
}

/** A text that may be missing; empty text stands for null. */
export function optionalText<T extends string = string>(): Field<T | null> {
  const inner = text<T>()
  return {
    solidity: inner.solidity,
    write(into, value) {
      if (value === '') throw new RangeError('An empty text cannot be told from a missing one')
      inner.write(into, (value ?? '') as T)
    },
    read(from) {
      const value = inner.read(from)
      return value === '' ? null : value
    },
  }
}

/** Bytes after their length in four bytes. */
export const bytes: Field<Uint8Array> = {
  solidity: 'bytes',
  write(into, value) {
    LENGTH.write(into, value.length)
    const start = into.reserve(value.length)
    into.bytes.set(value, start)
  },
  read: (from) => from.take(LENGTH.read(from)),
}

const LENGTH = uint(4)

/** Several values after their number in four bytes. For storage; the contracts read none. */
export function list<T>(item: Field<T>): Field<T[]> {
  return {
    solidity: 'bytes',
    write(into, values) {
      LENGTH.write(into, values.length)
      for (const value of values) item.write(into, value)
    },
    read(from) {
      // The number is not trusted with memory: a short input ends at its first missing value.
      const values: T[] = []
      for (let left = LENGTH.read(from); left > 0; left -= 1) values.push(item.read(from))
      return values
    },
  }
}

/** A value that may be missing, after a byte that says whether it is there. */
export function optional<T>(inner: Field<T>): Field<T | null> {
  return {
    solidity: 'bytes',
    write(into, value) {
      flag.write(into, value !== null)
      if (value !== null) inner.write(into, value)
    },
    read: (from) => (flag.read(from) ? inner.read(from) : null),
  }
}

/** The fields one after the other. The order of the object's keys is the order of the bytes. */
export function struct<T extends object>(fields: {
  readonly [K in keyof T]-?: Field<T[K]>
}): Field<T> {
  const entries = Object.entries(fields) as [keyof T & string, Field<T[keyof T & string]>][]
  return {
    solidity: new Map(entries.map(([name, field]) => [name, field.solidity])),
    write(into, value) {
      for (const [name, field] of entries) field.write(into, value[name])
    },
    read(from) {
      const value: Partial<T> = {}
      for (const [name, field] of entries) value[name] = field.read(from)
      return value as T
    },
  }
}

function broken(why: string): never {
  throw new AppError('invalid_request', `These bytes are not canonical: ${why}.`)
}
