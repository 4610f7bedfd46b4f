/** Counts an attempt that ended without an answer against its node. Rules: docs/design/nodes.md. */
import type { AppError } from '#shared/base/errors.ts'
import { NodeError } from '#p2p/stream/wire-error.ts'
import type { Directory, Member } from '#worker/hub/members/directory.ts'
import type { Job } from './job.ts'
import { isOfTheWork } from './error-for-caller.ts'

/** Records the end of an attempt. It counts against the node unless the hub itself ended it. */
export function keepEnd(
  job: Job,
  member: Member,
  { error, isTaken }: { readonly error: AppError; readonly isTaken: boolean },
  directory: Directory,
): void {
  const { work, units } = job.request
  const nodeError = error instanceof NodeError ? error : undefined
  const isNodes = nodeError !== undefined || !(isTaken || isOurs(error))
  const isMeasured = directory.slowestMs(member, work, units) !== undefined
  // The node may be right. This is known when another node answers, or fails too.
  const isOpen = isOfTheWork(nodeError) && directory.hasAnswered(member.admission.nodeId)
  if (isNodes && !isOpen) directory.failed(member)
  job.ended({ member, nodeError, isMeasured, isOpen })
}

/** Another node has answered work that these nodes called invalid. */
export function contradicted({ ends }: Job, directory: Directory): void {
  for (const { member, isOpen } of ends) if (isOpen) directory.failed(member)
}

function isOurs({ code }: AppError): boolean {
  return code === 'no_capacity' || code === 'internal'
}
