/**
 * Structs that are hashed or signed: a header that names the kind of struct, its version, the chain and the contract,
 * then the fields. The header keeps a signature over one kind, chain or contract from passing for another.
 */
import { AppError } from '#shared/base/errors.ts'
import type { Address } from '#shared/base/ids.ts'
import type { Domain } from './domain.ts'
import { account, decode, encode, struct, text, uint, type Field } from './encoding.ts'

export interface Layout<T> {
  readonly kind: string
  readonly version: number
  readonly fields: Field<T>
  encode(domain: Domain, value: T): Uint8Array<ArrayBuffer>
  /** @throws {AppError} invalid_request for bytes that are not canonical, or of another kind or version */
  decode(bytes: Uint8Array): { readonly domain: Domain; readonly value: T }
}

/** @param kind names the struct for ever. @param version changes with the fields */
export function layout<T extends object>(
  kind: string,
  version: number,
  fields: Field<T>,
): Layout<T> {
  const whole = struct<Header & { readonly value: T }>({ ...HEADER, value: fields })
  return {
    kind,
    version,
    fields,
    encode: ({ chainId, verifyingContract }, value) =>
      encode(whole, { kind: nameOf(kind), version, chainId, verifyingContract, value }),
    decode(bytes) {
      const { chainId, verifyingContract, value, ...named } = decode(whole, bytes)
      if (named.kind !== nameOf(kind) || named.version !== version)
        throw new AppError(
          'invalid_request',
          `These bytes are ${named.kind} ${named.version}, not ${nameOf(kind)} ${version}.`,
        )
      return { domain: { chainId, verifyingContract }, value }
    },
  }
}

export interface Header {
  readonly kind: string
  readonly version: number
  readonly chainId: number
  readonly verifyingContract: Address
}

export const HEADER: { readonly [K in keyof Header]: Field<Header[K]> } = {
  kind: text(),
  version: uint(1),
  chainId: uint(8),
  verifyingContract: account,
}

/** The header's text for a kind. */
export function nameOf(kind: string): string {
  return `littoral ${kind}`
}
