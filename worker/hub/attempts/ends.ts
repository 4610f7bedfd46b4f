/** What it costs a node that an attempt of its ended without an answer. Rules: docs/design/nodes.md. */
import type { AppError } from '#shared/base/errors.ts'
import { NodesWord } from '#p2p/stream/wire-error.ts'
import type { Directory, Member } from '#worker/hub/members/directory.ts'
import type { Job } from './attempt.ts'
import { isOfTheWork } from './tell-words.ts'

/** Keeps how it ended. It counts against the node, but for what the hub itself took back. */
export function keepEnd(
  { request: { work, units }, ends }: Job,
  member: Member,
  { error, isTaken }: { readonly error: AppError; readonly isTaken: boolean },
  directory: Directory,
): void {
  const word = error instanceof NodesWord ? error : undefined
  const isNodes = word !== undefined || !(isTaken || isOurs(error))
  const isMeasured = directory.slowestMs(member, work, units) !== undefined
  // It may be right: that shows once another has answered, or not.
  const isOpen = isOfTheWork(word) && directory.hasAnswered(member.admission.nodeId)
  if (isNodes && !isOpen) directory.failed(member)
  ends.push({ member, word, isMeasured, isOpen })
}

/** Another node has answered what these called wrong. */
export function contradicted({ ends }: Job, directory: Directory): void {
  for (const { member, isOpen } of ends) if (isOpen) directory.failed(member)
}

function isOurs({ code }: AppError): boolean {
  return code === 'no_capacity' || code === 'internal'
}
