/** The chain's part of a proof: receipt and log under the roots of one batch, and those roots on the chain. */
import type { AuditBundle, BundledBatch, BundledJob } from '#shared/audit-bundle.ts'
import { checkpointLeaf } from '#shared/audit.ts'
import { nameHash } from '#shared/ids.ts'
import { verifyMerkleProof } from '#shared/merkle.ts'
import type { Settlement } from '#shared/receipt.ts'
import { verifyConsistency } from '#shared/transparency-log.ts'
import { finding, type Finding, type Trust } from './finding.ts'
import { headOf } from './prove-log.ts'

export async function checkBatch(
  bundle: AuditBundle,
  { receipt, settlement }: BundledJob,
  trust: Trust,
): Promise<Finding[]> {
  if (settlement === null)
    return [{ result: 'open', text: 'It has not settled yet; come back after the next batch' }]
  const { batchId, receiptRoot, proof } = settlement
  const batch = bundle.batches.find((each) => each.batchId === batchId)
  return [
    finding(
      verifyMerkleProof(receiptRoot, receipt.id, proof),
      `The receipt is under receipt root ${receiptRoot} of batch ${batchId}, ${proof.length} siblings`,
    ),
    ...(batch === undefined
      ? [finding(false, `The bundle does not say where the log stood in batch ${batchId}`)]
      : checkLogHead(bundle, batch)),
    ...(await checkChain(settlement, batch, trust)),
  ]
}

function checkLogHead(bundle: AuditBundle, batch: BundledBatch): Finding[] {
  const { checkpoint, logRoot, proof, consistency, batchId } = batch
  const head = headOf(bundle)
  const isOwn = checkpoint.tenant === nameHash(bundle.tenant)
  const isUnder = isOwn && verifyMerkleProof(logRoot, checkpointLeaf(checkpoint), proof)
  const goesOn =
    head !== undefined &&
    verifyConsistency({
      from: checkpoint.size,
      to: head.size,
      fromRoot: checkpoint.root,
      toRoot: head.root,
      proof: consistency,
    })
  return [
    finding(
      isUnder,
      `The log of ${checkpoint.size} entries is under log root ${logRoot} of batch ${batchId}`,
    ),
    finding(
      goesOn,
      `The log of ${head?.size ?? 0} entries begins with that of ${checkpoint.size}: nothing was rewritten`,
    ),
  ]
}

/** The roots as the chain has them; nobody's word. */
async function checkChain(
  { batchId, receiptRoot, transactionHash, blockNumber }: Settlement,
  batch: BundledBatch | undefined,
  { chain, chainFault }: Trust,
): Promise<Finding[]> {
  if (chain === null) return [{ result: 'open', text: `On the chain: ${chainFault}` }]
  const posted = await chain.postedBy(transactionHash)
  if (posted === undefined)
    return [finding(false, `Transaction ${transactionHash} posted no batch of this contract`)]
  return [
    finding(
      posted.batchId === batchId &&
        posted.receiptRoot === receiptRoot &&
        posted.blockNumber === blockNumber,
      `Transaction ${transactionHash} posted batch ${posted.batchId} with receipt root ${posted.receiptRoot} in block ${posted.blockNumber}`,
    ),
    finding(
      batch !== undefined && posted.logRoot === batch.logRoot,
      `The same transaction posted log root ${posted.logRoot}`,
    ),
  ]
}
