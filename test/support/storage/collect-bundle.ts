/** Reads a streamed bundle to its end. */
import { AuditBundle, NOT_NARROWED, type BundleNarrowing } from '#shared/audit/bundle.ts'
import type { JobId } from '#shared/base/ids.ts'
import { bundleText, openBundle, type BundleSource } from '#worker/api/audit/collect-bundle.ts'
import type { LogPoint } from '#worker/protocols/audit.ts'

export type BundleWish =
  | { readonly from: number; readonly to: number }
  | { readonly jobId: JobId }
  | {
      readonly from?: LogPoint | null
      readonly to?: LogPoint | null
      readonly selection: Partial<BundleNarrowing>
    }

export async function collectBundle(source: BundleSource, wish: BundleWish): Promise<AuditBundle> {
  const chunks: string[] = []
  for await (const chunk of bundleText(await openBundle(source, toQuery(wish)))) chunks.push(chunk)
  return AuditBundle.parse(JSON.parse(chunks.join('')))
}

function toQuery(wish: BundleWish) {
  if ('jobId' in wish) {
    return { from: null, to: null, selection: { ...NOT_NARROWED, job: wish.jobId } }
  }
  if ('selection' in wish) {
    const { from = null, to = null } = wish
    return { from, to, selection: { ...NOT_NARROWED, ...wish.selection } }
  }
  const { from, to } = wish
  return { from: { sequence: from }, to: { sequence: to }, selection: NOT_NARROWED }
}
