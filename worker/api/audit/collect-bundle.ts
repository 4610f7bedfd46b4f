/** Collects a bundle page by page: entries, proofs and receipts from the tenant, settlements from the ledgers. */
import type {
  BundledBatch,
  BundledJob,
  BundleHead,
  BundleList,
  BUNDLE_LISTS,
} from '#shared/audit/bundle.ts'
import { isNoDomain } from '#shared/proof/domain.ts'
import { turnsOf } from '#shared/proof/tree.ts'
import type { TenantId } from '#shared/base/ids.ts'
import type { Jurisdiction } from '#shared/law/policy.ts'
import type { SignedReceipt } from '#shared/receipt/receipt.ts'
import type { z } from 'zod'
import type { Config, WorkerEnv } from '#worker/platform/config.ts'
import { hubNamed } from '#worker/dispatch/hubs.ts'
import { homeOf, openLedger, openTenant } from '#worker/protocols/durable-objects.ts'
import type { ReceiptStatus } from '#worker/protocols/ledger.ts'
import type { TenantApi } from '#worker/protocols/tenant.ts'
import {
  type BundleOpening,
  type BundlePage,
  type BundleQuery,
  AUDIT_BUNDLE_PAGE,
} from '#worker/protocols/audit.ts'

/** Rows that are searched for the policies of a bundle. */
const AUDIT_POLICY_ROWS = 5_000

export interface BundleSource {
  readonly env: Pick<WorkerEnv, 'TENANT' | 'LEDGER'>
  readonly config: Config
  readonly tenant: TenantId
}

/** Each list in pages, to be read once and in this order. */
export type BundleLists = {
  readonly [L in BundleList]: () => AsyncIterable<readonly z.infer<(typeof BUNDLE_LISTS)[L]>[]>
}

export interface OpenBundle {
  readonly head: BundleHead
  readonly lists: BundleLists
}

/** @throws {AppError} not_found, invalid_request, forbidden where the deployment has no log key */
export async function openBundle(source: BundleSource, query: BundleQuery): Promise<OpenBundle> {
  const { env, config, tenant } = source
  const log = openTenant(env, tenant, config)
  const { size, edges, domain, ...head } = await log.bundles.open(query)
  const settled = new Map<Jurisdiction, Set<number>>()
  const pages = (rows: number) => pagesOf({ ...head, size }, rows)
  return {
    head: {
      ...head,
      domain: isNoDomain(domain) ? null : domain,
      settlesWithinMs: config.settlesWithinMs ?? null,
    },
    lists: {
      policies: () => readPolicies(log, pages(AUDIT_POLICY_ROWS)),
      edges: () => inOnePage(edges),
      entries: () => inPages(pages(AUDIT_BUNDLE_PAGE), (page) => log.bundles.entries(page)),
      erasures: () => readErasures(log, { ...head, size }),
      jobs: () =>
        inPages(pages(AUDIT_BUNDLE_PAGE), (page) => readJobs(source, { log, page, settled })),
      batches: () => readBatches(source, { log, size, settled }),
    },
  }
}

/** The bundle as one JSON document. */
export async function* bundleText({ head, lists }: OpenBundle): AsyncGenerator<string> {
  yield JSON.stringify(head).slice(0, -1)
  for (const [name, list] of Object.entries(lists)) {
    let separator = `,"${name}":[`
    for await (const items of list()) {
      for (const item of items.length === 0 ? [] : [items]) {
        yield separator + item.map((each) => JSON.stringify(each)).join(',')
        separator = ','
      }
    }
    yield separator === ',' ? ']' : `${separator}]`
  }
  yield '}'
}

type Whole = Pick<BundleOpening, 'range' | 'selection' | 'size'>

/** A job has few entries, so they are one page. */
function pagesOf({ range, selection, size }: Whole, rows: number): BundlePage[] {
  if (selection.job !== null) return [{ ...range, selection, size }]
  const count = Math.ceil((range.to - range.from) / rows)
  return Array.from({ length: count }, (_, i) => {
    const from = range.from + i * rows
    return { from, to: Math.min(range.to, from + rows), selection, size }
  })
}

async function* inPages<T>(
  pages: readonly BundlePage[],
  read: (page: BundlePage) => Promise<readonly T[]>,
): AsyncGenerator<readonly T[]> {
  for (const page of pages) yield await read(page)
}

async function* inOnePage<T>(items: readonly T[]): AsyncGenerator<readonly T[]> {
  yield await Promise.resolve(items)
}

/** Collects each policy version once over all pages; a tenant has few. */
async function* readPolicies(log: TenantApi, pages: readonly BundlePage[]) {
  const told = new Set<string>()
  for (const page of pages) {
    const fresh = (await log.bundles.policies(page)).filter(
      ({ policy, version }) => !told.has(`${policy.id}@${version}`),
    )
    for (const { policy, version } of fresh) told.add(`${policy.id}@${version}`)
    yield fresh
  }
}

async function* readErasures(log: TenantApi, { range, selection, size }: Whole) {
  let from = range.to
  while (from < size && selection.job === null) {
    const page = await log.bundles.erasures({ from, to: size, selection, size }, range)
    yield page
    const last = page.at(-1)
    if (last === undefined) return
    from = last.sequence + 1
  }
}

interface JobsPart {
  readonly log: TenantApi
  readonly page: BundlePage
  /** Filled by the pages: settlement batches of the jobs, by ledger. */
  readonly settled: Map<Jurisdiction, Set<number>>
}

async function readJobs(
  { env, config }: BundleSource,
  { log, page, settled }: JobsPart,
): Promise<BundledJob[]> {
  const { receipts, evidence } = await log.bundles.jobs(page)
  const statuses = new Map<string, ReceiptStatus>()
  for (const [home, group] of groupByHome(receipts, config)) {
    const batches = settled.get(home) ?? new Set()
    settled.set(home, batches)
    for (const status of await openLedger(env, home, config).status(group.map(({ id }) => id))) {
      statuses.set(status.id, status)
      if (status.settlement !== null) batches.add(status.settlement.batchId)
    }
  }
  const records = new Map(evidence.map(({ hash, record }) => [hash, record]))
  return receipts.map((receipt) => ({
    receipt,
    evidence: records.get(receipt.receipt.ticket.place.evidenceHash) ?? null,
    settlement: statuses.get(receipt.id)?.settlement ?? null,
  }))
}

function groupByHome(
  receipts: readonly SignedReceipt[],
  config: Config,
): Map<Jurisdiction, SignedReceipt[]> {
  return Map.groupBy(receipts, ({ receipt }) => {
    const hub = hubNamed(config, receipt.ticket.hub)
    return homeOf(hub?.jurisdiction ?? 'any', config)
  })
}

interface BatchesPart extends Pick<JobsPart, 'log' | 'settled'> {
  readonly size: number
}

/** All ledgers post to one contract, which numbers the batches. */
async function* readBatches(
  { env, config, tenant }: BundleSource,
  { log, size, settled }: BatchesPart,
): AsyncGenerator<readonly BundledBatch[]> {
  const named = [...settled].flatMap(([home, ids]) => [...ids].map((id) => ({ home, id })))
  named.sort((a, b) => a.id - b.id)
  for (let at = 0; at < named.length; at += AUDIT_BUNDLE_PAGE) {
    const page = named.slice(at, at + AUDIT_BUNDLE_PAGE)
    const known = await Promise.all(
      [...Map.groupBy(page, ({ home }) => home)].map(([home, group]) =>
        openLedger(env, home, config).settledLogs(
          tenant,
          group.map(({ id }) => id),
        ),
      ),
    )
    const batches = known.flat().toSorted((a, b) => a.batchId - b.batchId)
    const sizes = batches.map(({ checkpoint }) => checkpoint.size)
    // One call for all, because platforms limit calls per request.
    const consistency = await log.bundles.consistency(sizes, size)
    yield batches.map(({ proof, index, size: logs, ...batch }, i) => ({
      ...batch,
      proof: [...proof],
      turns: turnsOf({ index, size: logs }),
      consistency: consistency[i] ?? [],
    }))
  }
}
