/** What a bundle is collected from, without a Worker: a tenant and a ledger as the Durable Objects have them. */
import { concludeEvidence } from '#shared/place/conclude-evidence.ts'
import type { EvidenceRecord } from '#shared/place/evidence.ts'
import type { Bytes32, NodeId } from '#shared/base/ids.ts'
import type { BundleSource } from '#worker/api/audit/collect-bundle.ts'
import type { LedgerCore } from '#worker/ledger/core.ts'
import type { TenantCore } from '#worker/tenant/core.ts'
import { tenantOf } from './collect-bundle.ts'
import { TENANT } from '#test/support/hub/policies.ts'

export interface BundleParts {
  readonly tenant: TenantCore
  readonly ledger: LedgerCore
  readonly seed: Bytes32
}

export function bundleSourceOf({ tenant, ledger, seed }: BundleParts): BundleSource {
  const own = tenantOf(tenant)
  const namespace = (stub: unknown) => ({
    getByName: () => stub,
    jurisdiction: () => namespace(stub),
  })
  const config = {
    hubs: [{ name: 'hub-test', jurisdiction: 'any' as const }],
    deployment: 'any' as const,
    ingressCountry: 0,
    hubAddress: '',
    operatorKey: undefined,
    admissionSecret: undefined,
    proxySecret: undefined,
    logKey: seed,
  }
  return { env: { TENANT: namespace(own), LEDGER: namespace(ledger) }, config, tenant: TENANT }
}

export function observedInGermany(nodeId: NodeId, nowMs: number): EvidenceRecord {
  return concludeEvidence(
    {
      nodeId,
      hub: 'hub-test',
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
