/** Writes hubs' and ledgers' state as metrics: nodes, jobs, queues, receipts, batches, the poster's balance, faults. */
import { FAULT_CODES } from '#shared/api/network.ts'
import type { HubGauges } from '#worker/protocols/hub.ts'
import type { LedgerHealth } from '#worker/protocols/ledger.ts'
import type { DeploymentState, Readiness } from './readiness.ts'
import type { Family, Sample } from '#worker/metrics/exposition.ts'

const WEI_PER_ETHER = 1e18

export function stateFamilies(
  state: DeploymentState,
  readiness: Readiness,
  gauges: ReadonlyMap<string, HubGauges>,
): Family[] {
  return [
    {
      name: 'littoral_ready',
      help: 'Whether a part of the deployment is ready, as GET /v2/health/ready says it',
      type: 'gauge',
      samples: Object.entries(readiness.parts).map(([part, { ready }]) => ({
        labels: { part },
        value: Number(ready),
      })),
    },
    ...hubFamilies(state, gauges),
    ...ledgerFamilies(state),
  ]
}

function hubFamilies({ hubs }: DeploymentState, gauges: ReadonlyMap<string, HubGauges>): Family[] {
  const ofHubs = (read: (gauges: HubGauges) => number): Sample[] =>
    [...gauges].map(([hub, own]) => ({ labels: { hub }, value: read(own) }))
  return [
    {
      name: 'littoral_nodes',
      help: 'Connected nodes, by country and tier; one in quarantine gets no work',
      type: 'gauge',
      samples: countNodes(hubs.flatMap(({ status }) => status.nodes)),
    },
    {
      name: 'littoral_jobs_total',
      help: 'Jobs that ended since the hub began, by outcome: answered, or the code of the error',
      type: 'counter',
      samples: [...gauges].flatMap(([hub, { jobs }]) =>
        Object.entries(jobs).map(([outcome, value]) => ({ labels: { hub, outcome }, value })),
      ),
    },
    {
      name: 'littoral_jobs_active',
      help: 'Jobs at a hub now, waiting or on a node',
      type: 'gauge',
      samples: ofHubs(({ activeJobs }) => activeJobs),
    },
    {
      name: 'littoral_queue_jobs',
      help: 'Jobs that wait for a free place on a node',
      type: 'gauge',
      samples: ofHubs(({ waitingJobs }) => waitingJobs),
    },
    {
      name: 'littoral_outbox_receipts',
      help: 'Receipts that a hub has not yet handed to tenant and ledger',
      type: 'gauge',
      samples: ofHubs(({ outboxReceipts }) => outboxReceipts),
    },
  ]
}

function countNodes(
  nodes: readonly {
    readonly country: string
    readonly trust: string
    readonly quarantine: string | null
  }[],
): Sample[] {
  const groups = Map.groupBy(nodes, ({ country, trust, quarantine }) =>
    JSON.stringify({ country, tier: trust, quarantined: String(quarantine !== null) }),
  )
  return [...groups].map(([labels, own]) => ({
    labels: JSON.parse(labels) as Record<string, string>,
    value: own.length,
  }))
}

function ledgerFamilies({ ledgers }: DeploymentState): Family[] {
  const of = (read: (health: LedgerHealth) => number | null, more: Sample['labels'] = {}) =>
    ledgers.flatMap(({ home, health }): Sample[] => {
      const value = health === null ? null : read(health)
      return value === null ? [] : [{ labels: { ledger: home, ...more }, value }]
    })
  return [
    {
      name: 'littoral_receipts',
      help: 'Receipts in the ledger: pending ones wait for a batch or for its block',
      type: 'gauge',
      samples: [
        ...of(({ pendingReceipts }) => pendingReceipts, { state: 'pending' }),
        ...of(({ settledReceipts }) => settledReceipts, { state: 'settled' }),
        ...of(({ refusedReceipts }) => refusedReceipts, { state: 'refused' }),
      ],
    },
    {
      name: 'littoral_batches_settled_total',
      help: 'Batches that settled',
      type: 'counter',
      samples: of(({ settledBatches }) => settledBatches),
    },
    {
      name: 'littoral_batches_reverted_total',
      help: 'Versions of batches that were mined and reverted',
      type: 'counter',
      samples: of(({ revertedBatches }) => revertedBatches),
    },
    {
      name: 'littoral_poster_balance_ether',
      help: 'What the poster has for fees',
      type: 'gauge',
      samples: of(({ posterBalanceWei }) =>
        posterBalanceWei === null ? null : Number(posterBalanceWei) / WEI_PER_ETHER,
      ),
    },
    {
      name: 'littoral_settlement_fault',
      help: '1 for the fault that keeps the ledger from settling',
      type: 'gauge',
      samples: FAULT_CODES.flatMap((code) =>
        of(({ faultCode }) => Number(faultCode === code), { code }),
      ),
    },
  ]
}
