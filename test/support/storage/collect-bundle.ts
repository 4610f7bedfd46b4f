/** Reads a streamed bundle whole, and gives a tenant's part of it without a Worker. */
import { AuditBundle, NOT_NARROWED, type BundleNarrowing } from '#shared/audit/bundle.ts'
import type { JobId } from '#shared/base/ids.ts'
import { bundleText, openBundle, type BundleSource } from '#worker/api/audit/collect-bundle.ts'
import type { TenantCore } from '#worker/tenant/core.ts'
import type { TenantApi } from '#worker/protocols/tenant.ts'
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

/** The tenant's RPC methods that a bundle is read through. */
export function tenantOf({ bundles }: TenantCore): Partial<TenantApi> {
  return {
    openBundle: (query) => bundles.open(query),
    bundlePolicies: async (page) => bundles.policies(page),
    bundleEntries: async (page) => bundles.entries(page),
    bundleErasures: async (page, range) => bundles.erasures(page, range),
    bundleJobs: async (page) => bundles.jobs(page),
    bundleConsistency: async (from, to) => bundles.consistency(from, to),
  }
}
