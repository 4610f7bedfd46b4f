/** The question "what would happen to this job", and its answer. */
import { z } from 'zod'
import { PolicyDraft, PolicyId, RegionList } from '#shared/law/policy.ts'

/** Of a published policy by its name (its newest version, or one that is named), of a draft, or of the default policy. */
export const DryRunRequest = z.strictObject({
  policy: PolicyId.optional(),
  version: z.int().min(1).optional(),
  /** A policy as it would be published; its `id` may be left out. */
  draft: PolicyDraft.partial({ id: true }).optional(),
  /** As a request would narrow it. */
  residency: z.strictObject({ allow: RegionList }).optional(),
})

/** Read first: the draft is then judged as a policy that is published, with the same words. */
export const DryRunQuestion = DryRunRequest.extend({ draft: z.looseObject({}).optional() })
export type DryRunQuestion = z.infer<typeof DryRunQuestion>
