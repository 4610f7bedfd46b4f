/** A policy as a draft becomes one when it is published. */
import { PolicyDraft, type Policy } from '#shared/law/policy.ts'
import { completePolicy } from '#shared/law/policy-draft.ts'

export function asPolicy(draft: unknown): Policy {
  return completePolicy(PolicyDraft.parse(draft))
}
