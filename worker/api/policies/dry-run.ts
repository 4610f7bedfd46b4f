/** The request of a dry run. */
import { z } from 'zod'
import { PolicyDraft, PolicyId, RegionList } from '#shared/law/policy.ts'

/** Names a published policy (its newest version by default) or carries a draft; neither means the default policy. */
export const DryRunRequest = z.strictObject({
  policy: PolicyId.optional(),
  version: z.int().min(1).optional(),
  /** A draft; its `id` may be left out. */
  draft: PolicyDraft.partial({ id: true }).optional(),
  /** A narrowing, as in a job's request. */
  residency: z.strictObject({ allow: RegionList }).optional(),
})

/** Parsed first, so that the draft is then judged like a policy that is published. */
export const DryRunQuestion = DryRunRequest.extend({ draft: z.looseObject({}).optional() })
export type DryRunQuestion = z.infer<typeof DryRunQuestion>
