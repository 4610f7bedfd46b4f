/** Checks a bundle that is in memory already, for pages and tests. */
import type { JsonPart } from '#shared/audit/json-parts.ts'
import { LIST_NAMES, verifyParts, type BundleOutcome } from './bundle.ts'
import { type BundleLine } from './line.ts'
import type { BundleTrust } from './trust.ts'

export interface BundleVerification extends BundleOutcome {
  /** True if everything was checked, is there, and passed. */
  readonly ok: boolean
  readonly lines: readonly BundleLine[]
}

/** Never throws for a faulty bundle. */
export async function verifyBundle(
  document: unknown,
  trust: BundleTrust,
): Promise<BundleVerification> {
  const lines: BundleLine[] = []
  const outcome = await verifyParts(partsOf(document), trust, { line: (said) => lines.push(said) })
  return { ...outcome, ok: outcome.verdict.result === 'holds', lines }
}

function* partsOf(document: unknown): Generator<JsonPart> {
  if (typeof document !== 'object' || document === null) return
  for (const [name, value] of Object.entries(document)) {
    if (!LIST_NAMES.some((list) => list === name) || !Array.isArray(value)) {
      yield { kind: 'member', name, value }
      continue
    }
    yield { kind: 'list', name }
    for (const [index, element] of value.entries())
      yield { kind: 'element', name, index, value: element }
  }
}
