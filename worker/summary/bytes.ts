/** Reads and writes the bytes of a summary: big-endian numbers, short texts, fixed hex. */
import { bytesToHex } from 'viem'
import { AppError } from '#shared/base/errors.ts'

const MOST = 0xffff

export function malformed(how: string): AppError {
  return new AppError('invalid_request', `The summary of a hub is ${how}.`)
}

/** Numbers over 65,535 are written as that. */
export class Writer {
  readonly #bytes: Uint8Array<ArrayBuffer>
  readonly #view: DataView
  #at = 0

  /** @param most bytes */
  constructor(most: number) {
    this.#bytes = new Uint8Array(most)
    this.#view = new DataView(this.#bytes.buffer)
  }

  u8(value: number): void {
    this.#view.setUint8(this.#step(1), value)
  }

  u16(...values: number[]): void {
    for (const value of values) this.#view.setUint16(this.#step(2), Math.min(value, MOST))
  }

  u32(value: number): void {
    this.#view.setUint32(this.#step(4), value)
  }

  text(text: string): void {
    this.u8(text.length)
    this.bytes(new TextEncoder().encode(text))
  }

  bytes(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#step(bytes.length))
  }

  done(): Uint8Array {
    return this.#bytes.slice(0, this.#at)
  }

  #step(size: number): number {
    const at = this.#at
    if (at + size > this.#bytes.length) throw malformed('too long')
    this.#at += size
    return at
  }
}

export class Reader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  u8(): number {
    return this.#view.getUint8(this.#step(1))
  }

  u16(): number {
    return this.#view.getUint16(this.#step(2))
  }

  u32(): number {
    return this.#view.getUint32(this.#step(4))
  }

  text(): string {
    const size = this.u8()
    const at = this.#step(size)
    return String.fromCharCode(...this.#bytes.subarray(at, at + size))
  }

  hex(size: number): `0x${string}` {
    const at = this.#step(size)
    return bytesToHex(this.#bytes.subarray(at, at + size))
  }

  list<Item>(read: () => Item): Item[] {
    return Array.from({ length: this.u8() }, read)
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw malformed('too long')
  }

  #step(size: number): number {
    const at = this.#at
    if (at + size > this.#bytes.length) throw malformed('too short')
    this.#at += size
    return at
  }
}
