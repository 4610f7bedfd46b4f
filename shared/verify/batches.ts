/** Checks a bundle's settlement batches: the log's state in each, its root on the chain, and that the log continues it. */
import { checkpointLeaf } from '#shared/audit/entries.ts'
import type { BundledBatch, BundledJob, BundleHead } from '#shared/audit/bundle.ts'
import type { LogHead } from '#shared/audit/checkpoint.ts'
import { nameHash, type Bytes32 } from '#shared/base/ids.ts'
import { rootByTurns, verifyConsistency } from '#shared/proof/tree.ts'
import { isNoChain, isUnread, type ChainAccess } from './chain-view.ts'
import { nameEntry } from './job-check.ts'
import { lineAbout as line, type BundleLine } from './line.ts'

interface SettledJob {
  readonly jobId: string
  readonly receipt: Bytes32
  /** Sequence number of the entry that places it; negative for none. */
  readonly placedAt: number
}

interface BatchContext {
  readonly head: BundleHead
  readonly logHead: LogHead
  readonly chain: ChainAccess
}

export function createBatchCheck({ head, logHead, chain }: BatchContext) {
  const settled = new Map<number, { transactionHash: Bytes32; jobs: SettledJob[] }>()
  let before = 0
  return {
    job({ receipt, settlement }: BundledJob, placedAt: number): void {
      if (settlement === null) return
      const { batchId, transactionHash } = settlement
      const batch = settled.get(batchId) ?? { transactionHash, jobs: [] }
      settled.set(batchId, batch)
      batch.jobs.push({ jobId: receipt.receipt.ticket.jobId, receipt: receipt.id, placedAt })
    },

    async batch(batch: BundledBatch): Promise<BundleLine[]> {
      const { batchId, checkpoint, logRoot } = batch
      const about = batchName(batchId)
      const isOwn = checkpoint.tenant === nameHash(head.tenant)
      const isUnder = rootByTurns(checkpointLeaf(checkpoint), batch) === logRoot
      const own = settled.get(batchId)
      settled.delete(batchId)
      const lines = [
        line(about, 'batch.order', batchId > before, 'each batch once, in order'),
        await checkLogRoot(batch, own?.transactionHash, chain),
        line(about, 'batch.log', isOwn && isUnder, `the log of ${checkpoint.size} under that root`),
        line(about, 'log.consistency', isConsistent(batch, logHead), grows(batch, logHead)),
        ...(own?.jobs ?? []).map((job) => covers(batch, job)),
      ]
      before = Math.max(before, batchId)
      if (own !== undefined) return lines
      return [...lines, line(about, 'batch.jobs', false, 'no job of the bundle is in it')]
    },

    /** Reports the jobs whose batch is not in the bundle. */
    end(): BundleLine[] {
      return [...settled].flatMap(([batchId, { jobs }]) =>
        jobs.map(({ jobId, receipt }) => ({
          ...line(jobId, 'batch.covers', 'missing', `${batchName(batchId)} is not in the bundle`),
          receipt,
        })),
      )
    },
  }
}

function covers({ batchId, checkpoint }: BundledBatch, job: SettledJob): BundleLine {
  const { jobId, receipt, placedAt } = job
  const detail = `${nameEntry(placedAt)} is among the ${checkpoint.size} of batch ${batchId}`
  // The entry that places the job is not shown. Another line says whether it should be.
  const isCovered = placedAt < 0 ? ('missing' as const) : placedAt < checkpoint.size
  return { ...line(jobId, 'batch.covers', isCovered, detail), receipt }
}

async function checkLogRoot(
  { batchId, logRoot }: BundledBatch,
  transactionHash: Bytes32 | undefined,
  chain: ChainAccess,
): Promise<BundleLine> {
  const about = batchName(batchId)
  if (isNoChain(chain)) return line(about, 'batch.log_root', false, 'no chain has it')
  if (isUnread(chain))
    return line(about, 'batch.log_root', 'open', `log root ${logRoot}; ${chain.unread}`)
  const posted = transactionHash && (await chain.postedBy(transactionHash))
  const isPosted =
    typeof posted === 'object' && posted.batchId === batchId && posted.logRoot === logRoot
  return line(about, 'batch.log_root', isPosted, `log root ${logRoot}, as posted`)
}

/** The subject of lines about a batch. */
export function batchName(batchId: number): string {
  return `batch ${batchId}`
}

function isConsistent({ checkpoint, consistency }: BundledBatch, head: LogHead): boolean {
  return verifyConsistency({
    from: checkpoint.size,
    to: head.size,
    fromRoot: checkpoint.root,
    toRoot: head.root,
    proof: consistency,
  })
}

function grows({ checkpoint, batchId }: BundledBatch, { size }: LogHead): string {
  return `the log of ${size} begins with the ${checkpoint.size} entries settled in batch ${batchId}; otherwise it has forked`
}
