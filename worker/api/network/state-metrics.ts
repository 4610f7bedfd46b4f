/** Writes hubs' and ledgers' state as metrics: nodes, jobs, queues, receipts, batches, the poster's balance, faults. */
import { FAULT_CODES } from '#shared/api/network.ts'
import type { HubGauges } from '#worker/protocols/hub.ts'
import type { LedgerHealth } from '#worker/protocols/ledger.ts'
import type { DeploymentState, Readiness } from './readiness.ts'
import type { NodeGroup } from '#worker/summary/hub-summary.ts'
import { countryCode } from '#shared/law/region.ts'
import { counter, gauge, type Family, type Sample } from '#worker/metrics/exposition.ts'

const WEI_PER_ETHER = 1e18

export function stateFamilies(
  state: DeploymentState,
  readiness: Readiness,
  gauges: ReadonlyMap<string, HubGauges>,
): Family[] {
  return [
    gauge(
      'littoral_ready',
      'Whether a part of the deployment is ready, as in GET /v2/health/ready',
      Object.entries(readiness.parts).map(([part, { ready }]) => ({
        labels: { part },
        value: Number(ready),
      })),
    ),
    ...hubFamilies(state, gauges),
    ...ledgerFamilies(state),
  ]
}

const HUB_GAUGES = [
  ['littoral_jobs_active', 'Jobs at a hub, waiting or running', 'activeJobs'],
  ['littoral_queue_jobs', 'Jobs that wait for a free slot on a node', 'waitingJobs'],
  ['littoral_outbox_receipts', 'Receipts not yet delivered to tenant and ledger', 'outboxReceipts'],
] as const

function hubFamilies({ hubs }: DeploymentState, gauges: ReadonlyMap<string, HubGauges>): Family[] {
  const ofHubs = (key: (typeof HUB_GAUGES)[number][2]): Sample[] =>
    [...gauges].map(([hub, own]) => ({ labels: { hub }, value: own[key] }))
  return [
    gauge(
      'littoral_nodes',
      'Connected nodes, by country and tier; quarantined nodes get no work',
      countNodes(hubs.flatMap(({ groups }) => groups)),
    ),
    counter(
      'littoral_jobs_total',
      'Jobs that ended since the hub started, by outcome: answered, or the error code',
      [...gauges].flatMap(([hub, { jobs }]) =>
        Object.entries(jobs).map(([outcome, value]) => ({ labels: { hub, outcome }, value })),
      ),
    ),
    ...HUB_GAUGES.map(([name, help, key]) => gauge(name, help, ofHubs(key))),
  ]
}

function countNodes(groups: readonly NodeGroup[]): Sample[] {
  const counts = new Map<string, number>()
  for (const { trust: tier, isQuarantined, countries } of groups)
    for (const [bit, count] of countries) {
      const labels = { country: countryCode(bit), tier, quarantined: String(isQuarantined) }
      const key = JSON.stringify(labels)
      counts.set(key, (counts.get(key) ?? 0) + count)
    }
  return [...counts].map(([labels, value]) => ({
    labels: JSON.parse(labels) as Record<string, string>,
    value,
  }))
}

function ledgerFamilies({ ledgers }: DeploymentState): Family[] {
  const of = (read: (health: LedgerHealth) => number | null, more: Sample['labels'] = {}) =>
    ledgers.flatMap(({ home, health }): Sample[] => {
      const value = health === null ? null : read(health)
      return value === null ? [] : [{ labels: { ledger: home, ...more }, value }]
    })
  return [
    gauge(
      'littoral_receipts',
      'Receipts in the ledger: pending ones wait for a batch or for its block',
      [
        ...of(({ pendingReceipts }) => pendingReceipts, { state: 'pending' }),
        ...of(({ settledReceipts }) => settledReceipts, { state: 'settled' }),
        ...of(({ refusedReceipts }) => refusedReceipts, { state: 'refused' }),
      ],
    ),
    counter(
      'littoral_batches_settled_total',
      'Settled batches',
      of(({ settledBatches }) => settledBatches),
    ),
    counter(
      'littoral_batches_reverted_total',
      'Batch transactions that were mined and reverted',
      of(({ revertedBatches }) => revertedBatches),
    ),
    gauge(
      'littoral_poster_balance_ether',
      'Balance of the poster, for fees',
      of(({ posterBalanceWei }) =>
        posterBalanceWei === null ? null : Number(posterBalanceWei) / WEI_PER_ETHER,
      ),
    ),
    gauge(
      'littoral_settlement_fault',
      '1 for the fault that blocks settlement',
      FAULT_CODES.flatMap((code) => of(({ faultCode }) => Number(faultCode === code), { code })),
    ),
  ]
}
