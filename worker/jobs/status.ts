/** Builds a batch's status from its tables. */
import type { ItemStore } from '#worker/jobs/store/items.ts'
import type { Lifetime } from './lifetime.ts'
import type { BatchSpec, BatchStatus, Fault } from '#worker/protocols/batch.ts'

export interface StatusParts {
  readonly spec: BatchSpec
  readonly items: ItemStore
  readonly lifetime: Lifetime
  readonly waiting: Fault | null
  readonly nowMs: number
}

export function showStatus({ spec, items, lifetime, waiting, nowMs }: StatusParts): BatchStatus {
  const { policy } = spec
  const sums = items.sums()
  const createdAtMs = lifetime.createdAtMs()
  const isOpen = lifetime.isOpen()
  return {
    id: spec.id,
    object: 'batch',
    status: lifetime.state(),
    policy: `${policy.id}@${policy.version}`,
    createdAtMs,
    deadlineAtMs: createdAtMs + spec.deadlineMs,
    finishedAtMs: lifetime.finishedAtMs(),
    eraseAtMs: lifetime.eraseAtMs(),
    ...sums,
    etaMs: isOpen ? guessEtaMs(sums.counts, nowMs - createdAtMs) : null,
    waiting: isOpen ? waiting : lifetime.fault(),
    reduced: lifetime.reduced(),
    webhook: lifetime.webhook(),
  }
}

/** By the pace so far; null before the first answer. */
function guessEtaMs(counts: BatchStatus['counts'], elapsedMs: number): number | null {
  if (counts.done === 0) return null
  const left = counts.queued + counts.running
  return Math.round((Math.max(0, elapsedMs) / counts.done) * left)
}
