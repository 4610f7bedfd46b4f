/** A node's signed presence record, published on gossipsub on each change and once a minute. */
import { z } from 'zod'
import { Bytes32, NodeId } from '#shared/base/ids.ts'
import { Adapter, FeatureName, PROVIDERS } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { COUNTRIES } from '#shared/law/region.ts'
import { PublicKey } from '#shared/proof/signature.ts'

export const CountryCode = z
  .string()
  .refine((code) => COUNTRIES.includes(code), 'not an ISO 3166-1 alpha-2 country')

/** A model that passed its golden check on this node. */
export const AdmittedModel = z.strictObject({
  id: z.string().max(64),
  digest: Bytes32,
  provider: z.enum(PROVIDERS),
  /** Median time of the golden run, measured at admission. */
  serviceMs: z.number().min(0),
})
export type AdmittedModel = z.infer<typeof AdmittedModel>

export const NODE_KINDS = ['tab', 'local'] as const

export const PresenceRecord = z.strictObject({
  version: z.literal(1),
  nodeId: NodeId,
  kind: z.enum(NODE_KINDS),
  receiptKey: PublicKey,
  claim: CountryCode,
  adapter: Adapter,
  models: z.array(AdmittedModel).max(LIMITS.presenceModels),
  /** Digests of manifests that fit this node's memory and are not loaded; a hub may ask for them. */
  loadable: z.array(Bytes32).max(LIMITS.presenceModels).optional(),
  /** Multiaddrs with peer id where this node serves model files to other nodes (`/littoral/files/1.0.0`). */
  files: z.array(z.string().max(256)).max(LIMITS.fileAddresses).optional(),
  /** `any` runs submitted WGSL, a list runs only kernels with these digests, and an empty list runs none. */
  kernels: z.union([z.literal('any'), z.array(Bytes32).max(64)]),
  /** WGSL features that its kernels may `enable` or `require`. */
  features: z.array(FeatureName).max(LIMITS.kernelFeatures).optional(),
  maxJobs: z.int().min(1).max(LIMITS.nodeJobsInFlight),
  /** Rises with every record of this node; an older record never replaces a newer one. */
  sequence: z.int().min(0),
  issuedAtMs: z.int().min(0),
})
export type PresenceRecord = z.infer<typeof PresenceRecord>

/** The record's exact bytes, and the signature of the node's libp2p Ed25519 key over them. Travels with receipts. */
export const SignedPresence = z.strictObject({ record: z.base64(), signature: z.base64() })
export type SignedPresence = z.infer<typeof SignedPresence>
