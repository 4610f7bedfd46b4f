/** A policy as publishing makes it from a draft. */
import { PolicyDraft, type Policy } from '#shared/law/policy.ts'
import { completePolicy } from '#shared/law/policy-draft.ts'

export function asPolicy(draft: unknown): Policy {
  return completePolicy(PolicyDraft.parse(draft))
}
