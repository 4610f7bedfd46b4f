/** The reply for the EU Data Act. */
import { z } from 'zod'

export const JurisdictionsReply = z.object({
  object: z.literal('jurisdictions'),
  article: z.string(),
  deployment: z.enum(['Cloudflare', 'self-hosted']),
  /** The jurisdiction of each service's infrastructure. */
  infrastructure: z.array(z.object({ service: z.string(), jurisdiction: z.string() })),
  /** Measures against unlawful access and transfer by governments of third countries. */
  measures: z.array(
    z.object({
      kind: z.enum(['technical', 'organisational', 'contractual']),
      measure: z.string(),
    }),
  ),
  /** The country groups that policies can name, each dated, with notes on surprising members. */
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
