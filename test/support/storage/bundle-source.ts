/** The source of a bundle without a Worker: a tenant and a ledger as the Durable Objects have them. */
import { concludeEvidence } from '#shared/place/conclude-evidence.ts'
import type { EvidenceRecord } from '#shared/place/evidence.ts'
import type { NodeId } from '#shared/base/ids.ts'
import type { BundleSource } from '#worker/api/audit/collect-bundle.ts'
import type { LedgerApi } from '#worker/protocols/ledger.ts'
import type { TenantApi } from '#worker/protocols/tenant.ts'
import { TENANT } from '#test/support/hub/policies.ts'
import { namespaceOf, plainConfig } from '#test/support/worker-config.ts'

type LedgerPart = Pick<LedgerApi, 'status' | 'settledLogs'>
/** A ledger that has settled nothing. */
const NOTHING_SETTLED: LedgerPart = { status: async () => [], settledLogs: async () => [] }

export function bundleSourceOf(
  tenant: Pick<TenantApi, 'bundles'>,
  ledger: LedgerPart = NOTHING_SETTLED,
): BundleSource {
  const config = plainConfig([{ name: 'hub', jurisdiction: 'any' }])
  return {
    env: { TENANT: namespaceOf(tenant), LEDGER: namespaceOf(ledger) },
    config,
    tenant: TENANT,
  }
}

export function observedInGermany(nodeId: NodeId, nowMs: number): EvidenceRecord {
  return concludeEvidence(
    {
      nodeId,
      hub: 'hub-0',
      claim: 'DE',
      observation: {
        country: 'DE',
        source: 'edge',
        asn: 3320,
        network: 'residential',
        listVersion: 20_261_101,
      },
      echoes: [],
      attestation: null,
    },
    nowMs,
  )
}
