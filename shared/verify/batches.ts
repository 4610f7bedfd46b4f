/** The batches of a bundle: where the log stood in each, as the chain has it, and that the log goes on from there. */
import { checkpointLeaf } from '../audit.ts'
import type { AuditBundle, BundledBatch } from '../audit-bundle.ts'
import type { LogHead } from '../checkpoint.ts'
import { nameHash, type Bytes32 } from '../ids.ts'
import { verifyMerkleProof } from '../merkle.ts'
import { verifyConsistency } from '../transparency-log.ts'
import { isUnread } from './chain-view.ts'
import { lineAbout as line, type BundleLine } from './line.ts'
import type { BundleTrust } from './trust.ts'

export async function checkBatches(
  { batches, tenant, jobs }: AuditBundle,
  { head, chain }: { readonly head: LogHead; readonly chain: BundleTrust['chain'] },
): Promise<BundleLine[]> {
  const lines: BundleLine[] = []
  let before = 0
  for (const batch of batches) {
    const { batchId, checkpoint, logRoot } = batch
    const about = batchName(batchId)
    const transaction = jobs.find((job) => job.settlement?.batchId === batchId)?.settlement
    const isOwn = checkpoint.tenant === nameHash(tenant)
    const isUnder = verifyMerkleProof(logRoot, checkpointLeaf(checkpoint), batch.proof)
    lines.push(
      line(about, 'batch.order', batchId > before, 'each batch once, in order'),
      await checkLogRoot(batch, transaction?.transactionHash, chain),
      line(about, 'batch.log', isOwn && isUnder, `the log of ${checkpoint.size} under that root`),
      line(about, 'log.consistency', isConsistent(batch, head), grows(batch, head)),
    )
    before = batchId
  }
  return lines
}

async function checkLogRoot(
  { batchId, logRoot }: BundledBatch,
  transactionHash: Bytes32 | undefined,
  chain: BundleTrust['chain'],
): Promise<BundleLine> {
  const about = batchName(batchId)
  if (isUnread(chain))
    return line(about, 'batch.log_root', 'open', `log root ${logRoot}; ${chain.unread}`)
  const posted = transactionHash && (await chain.postedBy(transactionHash))
  const isPosted =
    typeof posted === 'object' && posted.batchId === batchId && posted.logRoot === logRoot
  return line(about, 'batch.log_root', isPosted, `log root ${logRoot}, as posted`)
}

/** What lines about a batch are about. */
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
  return `the log of ${size} begins with the ${checkpoint.size} entries settled in batch ${batchId}; else it has forked`
}
