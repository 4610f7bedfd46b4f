/** The presence record that a node sends its hub. */
import { LIMITS } from '#shared/base/limits.ts'
import type { PresenceRecord } from '#shared/node/node.ts'
import { peerIdOf } from '#p2p/peers/node.ts'
import type { NodeCoreDeps } from './node-core.ts'

type Described = Pick<
  NodeCoreDeps,
  | 'kind'
  | 'identity'
  | 'signer'
  | 'engine'
  | 'claim'
  | 'maxJobs'
  | 'now'
  | 'shelf'
  | 'fileAddresses'
>

export interface RecordOptions {
  readonly sequence: number
  /** Whether it offers nothing because its current jobs are its last. */
  readonly isLeaving: boolean
}

export function presenceRecord(
  { kind, identity, signer, engine, claim, maxJobs, now, shelf, fileAddresses }: Described,
  { sequence, isLeaving }: RecordOptions,
): PresenceRecord {
  return {
    version: 1,
    nodeId: peerIdOf(identity),
    kind,
    receiptKey: signer.publicKey,
    claim,
    adapter: engine.adapter,
    models: isLeaving ? [] : engine.models.slice(0, LIMITS.presenceModels),
    loadable: isLeaving ? [] : shelf?.loadable(),
    files: fileAddresses?.slice(0, LIMITS.fileAddresses),
    kernels: isLeaving ? [] : engine.kernels === 'any' ? 'any' : [...engine.kernels],
    features: [...(engine.features ?? [])],
    maxJobs,
    sequence,
    issuedAtMs: now(),
  }
}
