/** API keys and quotas as the API shows them. */
import { z } from 'zod'

/** Rights of a key. `admin` includes `policy` and `audit`; a `node` key only vouches for nodes. */
export const SCOPES = ['infer', 'policy', 'audit', 'admin', 'node'] as const
export type Scope = (typeof SCOPES)[number]

export const KeyReply = z.object({
  id: z.string(),
  name: z.string(),
  scopes: z.array(z.enum(SCOPES)),
  networks: z.array(z.string()),
  createdAtMs: z.int(),
  /** Null for a key without an end. */
  expiresAtMs: z.int().nullable(),
  revokedAtMs: z.int().nullable(),
  /** To the minute; null for a key that was never used. */
  lastUsedAtMs: z.int().nullable(),
})
export type KeyReply = z.infer<typeof KeyReply>

export const CreatedKeyReply = KeyReply.extend({
  tenant: z.string(),
  /** Shown once. */
  key: z.string(),
})
export type CreatedKeyReply = z.infer<typeof CreatedKeyReply>

export const RotatedKeyReply = CreatedKeyReply.extend({
  /** When the previous secret ends; null when it has ended. */
  formerUntilMs: z.int().nullable(),
})

/** Rights of the key that asks. */
export const OwnKeyReply = z.object({
  tenant: z.string(),
  id: z.string(),
  scopes: z.array(z.enum(SCOPES)),
  networks: z.array(z.string()),
  /** Null for a key without an end. */
  expiresAtMs: z.int().nullable(),
})
export type OwnKeyReply = z.infer<typeof OwnKeyReply>

export const KeysReply = z.object({ tenant: z.string(), keys: z.array(KeyReply) })

/** A tenant's quota, and how much of it is used. */
export const QuotaReply = z.object({
  tenant: z.string(),
  requestsPerMinute: z.int().min(1),
  /** Null for no cap. */
  spendMicroUsdPerDay: z.int().min(0).nullable(),
  requestsThisMinute: z.int().min(0),
  spentMicroUsdToday: z.int().min(0),
})
export type QuotaReply = z.infer<typeof QuotaReply>
