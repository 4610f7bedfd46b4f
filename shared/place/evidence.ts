/** Evidence of a node's place: all facts behind its class, so that a stranger can repeat the conclusion. */
import { stringToBytes } from 'viem'
import { z } from 'zod'
import { canonicalJson } from '#shared/base/strict-json.ts'
import { Bytes32, NodeId, Signature } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { memoizeByObject } from '#shared/base/memoize.ts'
import { sha256Hex } from '#shared/base/native-crypto.ts'
import { CountryCode } from '#shared/node/node.ts'
import { EVIDENCE_CLASSES, EVIDENCE_SOURCES, OPERATOR_TENANT } from '#shared/law/policy.ts'
import type { Place } from '#shared/receipt/receipt.ts'
import { countryBit } from '#shared/law/region.ts'
import { PublicKey, verifySignature, type Signer } from '#shared/proof/signature.ts'

/** Kind of network that a connection came from. `residential` is any known network that is not on the hosting list. */
export const NETWORK_KINDS = ['residential', 'hosting', 'tor', 'unknown'] as const

/** The node's connection as the edge or the operator's proxy saw it. */
export const PlaceObservation = z.strictObject({
  /** Null where nobody could tell. */
  country: CountryCode.nullable(),
  source: z.enum(EVIDENCE_SOURCES),
  asn: z.int().min(0).max(0xffffffff).nullable(),
  network: z.enum(NETWORK_KINDS),
  /** Date of the list of hosting networks in use: 20261101. */
  listVersion: z.int(),
})
export type PlaceObservation = z.infer<typeof PlaceObservation>

export const AnchorPlace = z.strictObject({
  lat: z.number().min(-90).max(90),
  lon: z.number().min(-180).max(180),
  /** Uncertainty of that point in km: a cloud's object is somewhere in a metropolis. */
  slackKm: z.number().min(0).max(20_000),
  /** Invented for development or a test. */
  isSimulated: z.boolean(),
})
export type AnchorPlace = z.infer<typeof AnchorPlace>

export const EchoStatement = z.strictObject({
  version: z.literal(1),
  nodeId: NodeId,
  anchor: z.string().max(64),
  /** The anchor's libp2p identity; the node signed for this anchor only. */
  anchorPeerId: NodeId,
  place: AnchorPlace,
  /**
   * Upper bound of the node's round trip, in ms: the second-shortest sample plus the clock's resolution. The shortest does
   * not count, because a clock that is set back during an echo makes that echo too short.
   */
  minRttMs: z
    .number()
    .min(0)
    .max(LIMITS.echoTimeoutMs + 1_000),
  /** Round trip of the transport below, measured by the edge; a relay without the key answers it itself. */
  transportRttMs: z.number().min(0).max(60_000).nullable(),
  samples: z.int().min(2).max(LIMITS.echoSamples),
  /** The anchor's random bytes in the sample that counts. */
  nonce: Bytes32,
  /** The node's Ed25519 signature over that nonce. */
  nodeSignature: z.string().regex(/^0x[0-9a-f]{128}$/),
  measuredAtMs: z.int().min(0),
})
export type EchoStatement = z.infer<typeof EchoStatement>

export const SignedEcho = z.strictObject({
  statement: EchoStatement,
  anchorKey: PublicKey,
  signature: Signature,
})
export type SignedEcho = z.infer<typeof SignedEcho>

/** An operator's statement that its own node stands in a country. */
export const AttestationStatement = z.strictObject({
  version: z.literal(1),
  nodeId: NodeId,
  country: CountryCode,
  issuedAtMs: z.int().min(0),
  expiresAtMs: z.int().min(0),
})
export type AttestationStatement = z.infer<typeof AttestationStatement>

export const SignedAttestation = z.strictObject({
  statement: AttestationStatement,
  attesterKey: PublicKey,
  signature: Signature,
})
export type SignedAttestation = z.infer<typeof SignedAttestation>

export const EvidenceRecord = z.strictObject({
  version: z.literal(1),
  nodeId: NodeId,
  /** The hub that drew the conclusion; its own echo is one of the three that `bounded` needs. */
  hub: z.string().max(64),
  claim: CountryCode,
  observation: PlaceObservation,
  echoes: z.array(SignedEcho).max(LIMITS.evidenceAnchors),
  attestation: SignedAttestation.nullable(),
  class: z.enum(EVIDENCE_CLASSES),
  source: z.enum(EVIDENCE_SOURCES),
  possible: Bytes32,
  /** The round trips suggest that somebody relays the connection. */
  relaySuspected: z.boolean(),
  /** Each step of the conclusion, in words. */
  reasons: z.array(z.string().max(512)).max(32),
  concludedAtMs: z.int(),
  expiresAtMs: z.int(),
})
export type EvidenceRecord = z.infer<typeof EvidenceRecord>

/** SHA-256 of the record's canonical JSON, which the ticket carries. The record must not be changed. */
export const evidenceHash = memoizeByObject((record: EvidenceRecord): Bytes32 =>
  sha256Hex(stringToBytes(canonicalJson(record))),
)

/** The trust and voucher that a node gets by the key it showed. */
export type Backing = Readonly<Pick<Place, 'trust' | 'voucher'>>

/** The place for tickets. An attested node counts as the operator's own. */
export function placeOf(record: EvidenceRecord, { trust, voucher }: Backing): Place {
  const isAttested = record.class === 'attested'
  return {
    country: countryBit(record.claim),
    evidence: record.class,
    source: record.source,
    trust: isAttested ? 'dedicated' : trust,
    voucher: isAttested ? OPERATOR_TENANT : voucher,
    possible: record.possible,
    evidenceHash: evidenceHash(record),
  }
}

export async function signEcho(statement: EchoStatement, signer: Signer): Promise<SignedEcho> {
  const signature = await signer.sign(statementDigest('echo', statement))
  return { statement, anchorKey: signer.publicKey, signature }
}

/** Tells whether the given key signed. The caller checks that it is an anchor's, and the node's own signature. */
export function isSignedByAnchor({
  statement,
  anchorKey,
  signature,
}: SignedEcho): Promise<boolean> {
  return verifySignature(anchorKey, statementDigest('echo', statement), signature)
}

export async function signAttestation(
  statement: AttestationStatement,
  signer: Signer,
): Promise<SignedAttestation> {
  const signature = await signer.sign(statementDigest('attestation', statement))
  return { statement, attesterKey: signer.publicKey, signature }
}

export async function isAttestedBy(
  { statement, attesterKey, signature }: SignedAttestation,
  attesters: readonly PublicKey[],
): Promise<boolean> {
  if (!attesters.some(({ x, y }) => x === attesterKey.x && y === attesterKey.y)) return false
  return verifySignature(attesterKey, statementDigest('attestation', statement), signature)
}

/** Each kind of statement is signed under its own name, so that none passes for another. */
function statementDigest(kind: string, statement: object): Bytes32 {
  return sha256Hex(stringToBytes(`littoral ${kind} 1\n${canonicalJson(statement)}`))
}
