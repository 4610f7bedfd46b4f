/** EIP-712 (https://eips.ethereum.org/EIPS/eip-712) for our structs, which have only static 32-byte fields. */
import { concat, keccak256, stringToBytes, toHex, type Hex } from 'viem'
import type { Address, Bytes32 } from './ids.ts'
import { memoize } from './memoize.ts'

/** A field value: a full 32-byte hex word, or a number or bool that fits one. Dynamic types are hashed by the caller. */
export type Word = Hex | number | bigint | boolean

/** `keccak256(typeHash ‖ word ‖ word ‖ …)`; `type` is the encodeType string of a struct with static fields only. */
export function structHash(type: string, words: readonly Word[]): Bytes32 {
  return keccak256(concat([textHash(type), ...words.map(toWord)]))
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
  return separatorOf(`${domain.chainId}/${domain.verifyingContract.toLowerCase()}`)
}

/** A job hashes the same few types, names and one domain dozens of times; keccak in JavaScript is most of its cost. */
const separatorOf = memoize((key): Bytes32 => {
  const [chainId = '0', contract = '0x'] = key.split('/')
  return structHash(DOMAIN_TYPE, [
    textHash(DOMAIN_NAME),
    textHash(DOMAIN_VERSION),
    BigInt(chainId),
    `0x${contract.slice(2).padStart(64, '0')}`,
  ])
}, 16)

const textHash = memoize((text): Bytes32 => keccak256(stringToBytes(text)), 64)

function toWord(word: Word): Hex {
  if (typeof word === 'string') return word
  return toHex(typeof word === 'boolean' ? Number(word) : word, { size: 32 })
}
