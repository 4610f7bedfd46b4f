/** EIP-712 (https://eips.ethereum.org/EIPS/eip-712) for our structs, which have only static 32-byte fields. */
import { concat, keccak256, stringToBytes, toHex, type Hex } from 'viem'
import type { Address, Bytes32 } from './ids.ts'

/** A field value: a full 32-byte hex word, or a number or bool that fits one. Dynamic types are hashed by the caller. */
export type Word = Hex | number | bigint | boolean

/** `keccak256(typeHash ‖ word ‖ word ‖ …)`; `type` is the encodeType string of a struct with static fields only. */
export function structHash(type: string, words: readonly Word[]): Bytes32 {
  return keccak256(concat([typeHash(type), ...words.map(toWord)]))
}

/** The chain and contract that a signature is for; the receipt's version is the domain's. */
export interface Domain {
  readonly chainId: number
  readonly verifyingContract: Address
}

export const DOMAIN_NAME = 'Littoral'
export const DOMAIN_VERSION = '1'
const DOMAIN_TYPE =
  'EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)'

/** The 32 bytes that are signed: `keccak256(0x1901 ‖ domainSeparator ‖ structHash)`. */
export function typedDigest(domain: Domain, hash: Bytes32): Bytes32 {
  return keccak256(concat(['0x1901', domainSeparator(domain), hash]))
}

export function domainSeparator(domain: Domain): Bytes32 {
  const text = (value: string) => keccak256(stringToBytes(value))
  return structHash(DOMAIN_TYPE, [
    text(DOMAIN_NAME),
    text(DOMAIN_VERSION),
    domain.chainId,
    `0x${domain.verifyingContract.slice(2).toLowerCase().padStart(64, '0')}`,
  ])
}

function typeHash(type: string): Bytes32 {
  return keccak256(stringToBytes(type))
}

function toWord(word: Word): Hex {
  if (typeof word === 'string') return word
  return toHex(typeof word === 'boolean' ? Number(word) : word, { size: 32 })
}
