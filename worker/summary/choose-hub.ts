/**
 * Chooses the hubs for a job, one call at a time. Pure.
 *
 * Hubs whose summary shows an allowed node with the work loaded and a free slot come first, from the nearest region on.
 * Of two hubs drawn at random one is taken, with a probability that follows its free slots: isolates that know the same
 * old summaries then spread their jobs, where each taking the emptiest hub would fill it together. A summary is
 * never a decision: hubs that seem not to fit are asked last, and each hub applies the policy itself.
 */
import type { HubName } from './hub-region.ts'
import type { Candidate, Fitting, HubTable, JobFacts, KnownHub, Shortlist } from './hub-table.ts'

/** Most calls for one job. */
export const MOST_HUB_CALLS = 8
/** Of these, calls of hubs whose summary shows no node for the job: one explains the refusal, one more may know better. */
const UNFIT_CALLS = 2

export interface HubTurn {
  readonly hub: HubName
  /** The hub is to refuse a model that no allowed node has loaded, since another hub may have it. */
  readonly warmOnly: boolean
}

export interface ChoiceOptions {
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** Indexes of the regions, nearest first. @default their order in the table */
  readonly order?: readonly number[] | undefined
}

/** Gives the hubs to ask, each when the one before has refused. Only hubs that may keep the job's records are named. */
export function* chooseHubs(
  table: HubTable,
  job: JobFacts,
  { random, order = table.nearestFirst }: ChoiceOptions,
): Generator<HubTurn, void, void> {
  let calls = 0
  for (const turn of turnsFor(table.fitting(job), job, { random, order })) {
    yield turn
    calls += 1
    if (calls === MOST_HUB_CALLS) return
  }
}

function* turnsFor(
  { warm, cold, unfit, unknown }: Fitting,
  { work }: JobFacts,
  { random, order }: Required<ChoiceOptions> & { readonly order: readonly number[] },
): Generator<HubTurn, void, void> {
  const asked = new Set<string>()
  const isModel = work?.kind === 'model' || work?.kind === 'text'
  const warmOnly = isModel && count(warm) + count(cold) + unfit.length + unknown.length > 1
  for (const hub of pick(warm, { order, asked, random })) yield { hub, warmOnly }
  // A hub without a summary may have the model loaded, so it is asked before one that would load it.
  const rest = nearestFirst(unknown, order)
  for (const hub of rest) yield { hub, warmOnly }
  const refused = warmOnly ? [...asked] : []
  for (const hub of pick(cold, { order, asked, random })) yield { hub, warmOnly: false }
  if (warmOnly) {
    for (const hub of rest) yield { hub, warmOnly: false }
    for (const list of inOrder(warm, order))
      for (const { hub } of list.candidates)
        if (refused.includes(hub.name)) yield { hub, warmOnly: false }
  }
  for (const hub of nearestFirst(unfit, order).slice(0, UNFIT_CALLS)) yield { hub, warmOnly: false }
}

interface Draw {
  readonly order: readonly number[]
  /** Names of hubs that were asked; a hub that is drawn is added. */
  readonly asked: Set<string>
  readonly random: () => number
}

/** Hubs with a free slot, then busy ones, each nearest first. */
function* pick(lists: readonly Shortlist[], draw: Draw): Generator<KnownHub, void, void> {
  for (const take of [takeFree, takeBusy])
    for (const at of draw.order) {
      const list = lists[at]
      if (list === undefined) continue
      for (;;) {
        const hub = take(list, draw)
        if (hub === undefined) break
        draw.asked.add(hub.name)
        hub.sentJobs += 1
        yield hub
      }
    }
}

function takeFree(list: Shortlist, { asked, random }: Draw): KnownHub | undefined {
  if (list.isFull) return undefined
  const { candidates } = list
  const from = Math.floor(random() * candidates.length)
  const one = candidates[from]
  const other = candidates[Math.floor(random() * candidates.length)]
  const [free, otherFree] = [freeOf(one, asked), freeOf(other, asked)]
  if (free + otherFree > 0) return (random() * (free + otherFree) < free ? one : other)?.hub
  const found = firstFrom(candidates, from, (each) => freeOf(each, asked) > 0)
  if (found === undefined && asked.size === 0) list.isFull = true
  return found?.hub
}

function takeBusy({ candidates }: Shortlist, { asked, random }: Draw): KnownHub | undefined {
  const from = Math.floor(random() * candidates.length)
  const one = candidates[from]
  const other = candidates[Math.floor(random() * candidates.length)]
  const [wait, otherWait] = [waitOf(one, asked), waitOf(other, asked)]
  if (Math.min(wait, otherWait) < Infinity) return (wait <= otherWait ? one : other)?.hub
  return firstFrom(candidates, from, ({ hub }) => !asked.has(hub.name))?.hub
}

function freeOf(candidate: Candidate | undefined, asked: ReadonlySet<string>): number {
  if (candidate === undefined || asked.has(candidate.hub.name)) return 0
  return Math.max(0, candidate.freeSlots - candidate.hub.sentJobs)
}

/** Jobs that wait or were sent, for each slot; a hub that drains comes last. */
function waitOf(candidate: Candidate | undefined, asked: ReadonlySet<string>): number {
  if (candidate === undefined || asked.has(candidate.hub.name)) return Infinity
  const { summary, sentJobs } = candidate.hub
  const waiting = (summary.jobs.waiting + sentJobs) / Math.max(1, summary.slots.all)
  return summary.isDraining ? 1e9 + waiting : waiting
}

function firstFrom<Item>(
  items: readonly Item[],
  from: number,
  isRight: (item: Item) => boolean,
): Item | undefined {
  for (let n = 0; n < items.length; n += 1) {
    const item = items[from + n < items.length ? from + n : from + n - items.length]
    if (item !== undefined && isRight(item)) return item
  }
  return undefined
}

function inOrder(lists: readonly Shortlist[], order: readonly number[]): Shortlist[] {
  return order.flatMap((at) => lists[at] ?? [])
}

function nearestFirst<Hub extends { readonly region: number }>(
  hubs: readonly Hub[],
  order: readonly number[],
): readonly Hub[] {
  if (hubs.length < 2) return hubs
  return hubs.toSorted((a, b) => order.indexOf(a.region) - order.indexOf(b.region))
}

function count(lists: readonly Shortlist[]): number {
  return lists.reduce((sum, { candidates }) => sum + candidates.length, 0)
}
