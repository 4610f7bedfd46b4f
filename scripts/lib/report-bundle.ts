/** What the verifier prints of bundles: a line a job, everything that does not hold, and the sum of it. */
import { AuditBundle } from '#shared/audit-bundle.ts'
import { countryCode } from '#shared/region.ts'
import { verifyBundle } from '#shared/verify/bundle.ts'
import type { BundleLine } from '#shared/verify/line.ts'
import { findForks } from '#shared/verify/log.ts'
import type { WholeTrust } from '#shared/verify/trust.ts'
import { formatLine } from './format-line.ts'

export interface ReportOptions {
  readonly trust: WholeTrust
  /** Each check of each job. */
  readonly verbose: boolean
}

export async function reportBundles(
  documents: readonly unknown[],
  { trust, verbose }: ReportOptions,
): Promise<{ readonly ok: boolean; readonly text: string }> {
  const verified = await Promise.all(documents.map((document) => verifyBundle(document, trust)))
  const forks = findForks(verified.flatMap(({ heads }) => heads))
  const isWhole = verified.every(({ ok }) => ok) && forks.length === 0
  const text: string[] = []
  for (const [index, { lines }] of verified.entries()) {
    const bundle = AuditBundle.safeParse(documents[index])
    if (bundle.success) text.push(...summaries(bundle.data, lines))
    text.push(...details(lines, verbose))
  }
  text.push(...details(forks, true))
  const lines = verified.flatMap((each) => each.lines)
  const failed = lines.filter(({ result }) => result === 'failed').length + forks.length
  text.push(
    isWhole
      ? `Everything holds: ${lines.length} checks.`
      : `NOT valid: ${failed} of ${lines.length} checks fail.`,
  )
  if (isWhole && lines.some(({ result }) => result === 'simulated'))
    text.push('Places in it are simulated: they say nothing about where the jobs really ran.')
  return { ok: isWhole, text: text.join('\n') }
}

/** Policy, node, region, evidence and batch of each job. */
function summaries({ jobs }: AuditBundle, lines: readonly BundleLine[]): string[] {
  return jobs.map(({ receipt, settlement }) => {
    const { policy } = receipt
    const { jobId, nodeId, place } = receipt.receipt.ticket
    const own = lines.filter(({ about }) => about === jobId)
    const mark = own.some(({ result }) => result === 'failed') ? '✗' : '✓'
    const where = `${countryCode(place.country)} (${place.evidence} by ${place.source}, ${place.trust} node)`
    const batch = settlement === null ? 'not settled' : `batch ${settlement.batchId}`
    return `${mark} ${jobId}  policy ${policy.id}@${policy.version}  ${where}  node ${nodeId}  ${batch}`
  })
}

function details(lines: readonly BundleLine[], verbose: boolean): string[] {
  return lines
    .filter(({ result, about }) => verbose || result === 'failed' || !about.startsWith('job_'))
    .map((line) => `${formatLine(line)}  [${line.about}]`)
}
