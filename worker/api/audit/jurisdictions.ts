/** The EU Data Act's page, as a reply. */
import { z } from 'zod'

export const JurisdictionsReply = z.object({
  object: z.literal('jurisdictions'),
  article: z.string(),
  deployment: z.enum(['Cloudflare', 'self-hosted']),
  /** The jurisdiction that the infrastructure of each service is subject to. */
  infrastructure: z.array(z.object({ service: z.string(), jurisdiction: z.string() })),
  /** Against unlawful access and transfer by third countries' governments. */
  measures: z.array(
    z.object({
      kind: z.enum(['technical', 'organisational', 'contractual']),
      measure: z.string(),
    }),
  ),
  /** What each group of countries holds that a policy can name: its list is dated, and its notes say what its name does not. */
  groups: z.array(
    z.object({
      name: z.string(),
      asOf: z.string(),
      source: z.string(),
      countries: z.array(z.string()),
      notes: z.array(z.string()),
    }),
  ),
  contact: z.string().nullable(),
})
export type JurisdictionsReply = z.infer<typeof JurisdictionsReply>
