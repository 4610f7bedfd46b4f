/** Identifiers as branded strings, and how new ones are drawn. */
import { stringToBytes, toHex, type Hex } from 'viem'
import { z } from 'zod'
import { memoize } from './memoize.ts'
import { sha256Hex } from './native-crypto.ts'

export const JobId = z
  .string()
  .regex(/^job_[0-9a-f]{32}$/, 'job_ and 32 hex digits, as answers and the log name a job')
  .brand('JobId')
export type JobId = z.infer<typeof JobId>

export const TenantId = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'lower-case letters, digits and dashes, at most 32')
  .brand('TenantId')
export type TenantId = z.infer<typeof TenantId>

/** libp2p peer id in base58, as `PeerId.toString()` writes it. */
export const NodeId = z
  .string()
  .regex(/^[1-9A-HJ-NP-Za-km-z]{20,80}$/)
  .brand('NodeId')
export type NodeId = z.infer<typeof NodeId>

/** 32 bytes in lower-case hex with 0x: digests, receipt ids, roots. */
export const Bytes32 = z
  .templateLiteral(['0x', z.string()])
  .refine((s) => /^0x[0-9a-f]{64}$/.test(s), '32 bytes in lower-case hex')
export type Bytes32 = Hex

/** The zero word: no hash equals it, so it stands for the absence of one. */
export const ZERO_BYTES32: Bytes32 = `0x${'0'.repeat(64)}`

/** 64 bytes in lower-case hex with 0x: a P-256 signature r‖s. */
export const Signature = z
  .templateLiteral(['0x', z.string()])
  .refine((s) => /^0x[0-9a-f]{128}$/.test(s), '64 bytes in lower-case hex')
export type Signature = Hex

export const Address = z
  .templateLiteral(['0x', z.string()])
  .refine((s) => /^0x[0-9a-fA-F]{40}$/.test(s), '20 bytes in hex')
export type Address = Hex

export type RandomBytes = (sizeBytes: number) => Uint8Array

export const randomBytes: RandomBytes = (sizeBytes) =>
  crypto.getRandomValues(new Uint8Array(sizeBytes))

export function newJobId(random: RandomBytes = randomBytes): JobId {
  return `job_${toHex(random(16)).slice(2)}` as JobId
}

export function newRequestId(random: RandomBytes = randomBytes): string {
  return `req_${toHex(random(12)).slice(2)}`
}

/** The form of a name (tenant, policy, network) where the name itself must not stand: SHA-256 of its UTF-8 bytes. */
export const nameHash = memoize((name): Bytes32 => sha256Hex(stringToBytes(name)), 1_024)
