/** Publishes the hub's summary when it has changed, at most every second or two, and from time to time unchanged. */
import type { Log } from '#shared/base/log.ts'
import type { Clock } from '#p2p/stream/clock.ts'
import type { HubSummary } from '#worker/summary/hub-summary.ts'
import { SUMMARY_EVERY_MS, type RegionNews } from '#worker/summary/registry.ts'
import { packSummary } from '#worker/summary/summary-bytes.ts'

/** Period of the checks for a change; a random part of a half is added, so that hubs do not publish together. */
export const PUBLISH_CHECK_MS = 1_000
/** A change of this share of all slots is published; smaller ones wait for the next publication. */
const SLOTS_CHANGED = 0.1

export interface PublisherDeps {
  /** The present summary. Called at most once for each check. */
  readonly summarise: () => HubSummary
  readonly publish: (summary: Uint8Array) => Promise<RegionNews>
  readonly onNews: (news: RegionNews) => void
  readonly clock: Clock
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly log: Log
}

export interface Publisher {
  /** Members, places or models have changed: the next check publishes. */
  changed(): void
  stop(): void
}

/** Costs nothing for each job: a check compares counts. */
export function createPublisher(deps: PublisherDeps): Publisher {
  const { summarise, publish, onNews, clock, random, log } = deps
  let isChanged = true
  let published: { readonly summary: HubSummary; readonly atMs: number } | undefined
  let cancel = () => {}
  let isStopped = false
  const plan = (delayMs: number) => {
    if (!isStopped) cancel = clock.after(delayMs, () => void check())
  }
  const check = async (): Promise<void> => {
    try {
      const summary = summarise()
      const isDue =
        isChanged ||
        published === undefined ||
        clock.nowMs() - published.atMs >= SUMMARY_EVERY_MS - 2 * PUBLISH_CHECK_MS ||
        hasMoved(published.summary, summary)
      if (isDue) {
        isChanged = false
        onNews(await publish(packSummary(summary)))
        published = { summary, atMs: clock.nowMs() }
      }
    } catch (error) {
      isChanged = true
      log.warn('summary.unpublished', { cause: String(error) })
    }
    plan(PUBLISH_CHECK_MS * (1 + random() / 2))
  }
  plan(0)
  return {
    changed() {
      isChanged = true
    },
    stop() {
      isStopped = true
      cancel()
    },
  }
}

function hasMoved(before: HubSummary, now: HubSummary): boolean {
  if (before.isDraining !== now.isDraining || before.slots.all !== now.slots.all) return true
  if (before.jobs.waiting > 0 !== now.jobs.waiting > 0) return true
  return Math.abs(before.slots.free - now.slots.free) > SLOTS_CHANGED * now.slots.all
}
