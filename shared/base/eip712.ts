/** EIP-712 (https://eips.ethereum.org/EIPS/eip-712) for our structs, which have only static 32-byte fields. */
import { concat, hexToBytes, keccak256, stringToBytes, type Hex } from 'viem'
import { z } from 'zod'
import { Address, type Bytes32 } from './ids.ts'
import { memoize } from './memoize.ts'

/** A field's value: a 32-byte hex word, or a number or bool that fits one. The caller hashes dynamic types. */
export type Word = Hex | number | bigint | boolean

/** `keccak256(typeHash ‖ word ‖ word ‖ …)`. @param type encodeType string of a struct with static fields only */
export function structHash(type: string, words: readonly Word[]): Bytes32 {
  const bytes = new Uint8Array(WORD_BYTES * (words.length + 1))
  bytes.set(typeBytes(type))
  for (const [index, word] of words.entries()) writeWord(bytes, WORD_BYTES * (index + 1), word)
  return keccak256(bytes)
}

const WORD_BYTES = 32

/** The chain and contract that a signature is for. */
export const Domain = z.strictObject({ chainId: z.int().min(0), verifyingContract: Address })
export type Domain = Readonly<z.infer<typeof Domain>>

/** Domain of a deployment that settles on no chain. */
export const NO_DOMAIN: Domain = { chainId: 0, verifyingContract: `0x${'0'.repeat(40)}` }

/** The domain that a deployment's settings name. @param settlement empty where there is no contract */
export function domainOf(chainId: number, settlement: string): Domain {
  if (settlement === '') return NO_DOMAIN
  return { chainId, verifyingContract: Address.parse(settlement) }
}

export function isNoDomain({ chainId, verifyingContract }: Domain): boolean {
  return chainId === NO_DOMAIN.chainId && verifyingContract === NO_DOMAIN.verifyingContract
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

/** One job hashes the same types, names and domain dozens of times, and most of that cost is keccak in JavaScript. */
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

const typeBytes = memoize((type): Uint8Array => hexToBytes(textHash(type)), 64)

/** Throws for a word that does not fit: two structs must never have the same hash. */
function writeWord(into: Uint8Array, at: number, word: Word): void {
  if (typeof word === 'string') {
    const bytes = hexToBytes(word)
    if (bytes.length !== WORD_BYTES) throw new RangeError(`${word} is not a word of 32 bytes`)
    into.set(bytes, at)
    return
  }
  let rest = BigInt(word)
  if (rest < 0n || rest >= WORD_LIMIT) throw new RangeError(`${word} is no unsigned 256-bit number`)
  for (let byte = at + WORD_BYTES - 1; rest > 0n; byte -= 1) {
    into[byte] = Number(rest & 0xffn)
    rest >>= 8n
  }
}

const WORD_LIMIT = 1n << 256n
