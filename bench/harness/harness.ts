/** The method of every bench: contenders take turns, and are compared within a round. */
import { setTimeout as sleep } from 'node:timers/promises'
import { median, summarize, type Summary } from './statistics.ts'

/** Values of one repetition by metric; `latencyMs` has one for each request, `cpuMs` one for the repetition. */
export type Samples = Readonly<Record<string, readonly number[]>>

export interface Contender {
  readonly name: string
  /** One repetition. */
  run(): Promise<Samples>
}

/** A metric of one contender, divided by a metric of a peer. */
export interface Comparison {
  readonly of: string
  readonly to: string
  readonly metric: string
  /** Metric of the peer, where it has another name. @default the same */
  readonly peerMetric?: string
}

export interface Ratio extends Comparison {
  /** Median over the rounds; a round's ratio divides its two medians. */
  readonly median: number
  readonly min: number
  readonly max: number
  readonly rounds: number
}

export interface Figure extends Summary {
  readonly contender: string
  readonly metric: string
}

export interface Section {
  readonly name: string
  readonly ratios: readonly Ratio[]
  readonly figures: readonly Figure[]
}

export interface BenchResult {
  readonly name: string
  readonly title: string
  readonly sections: readonly Section[]
  /** Contender → what its figures include. */
  readonly includes: Readonly<Record<string, string>>
  readonly notes: readonly string[]
}

export interface SectionPlan {
  readonly name: string
  readonly contenders: readonly Contender[]
  readonly comparisons: readonly Comparison[]
  readonly rounds: number
  /** @default 1 */
  readonly warmUps?: number
}

/** Runs every contender once in each round; each round starts with another one. */
export async function measureSection(plan: SectionPlan): Promise<Section> {
  const { contenders, rounds, warmUps = 1 } = plan
  const taken = new Map<string, Samples[]>(contenders.map(({ name }) => [name, []]))
  for (let round = -warmUps; round < rounds; round++) {
    for (const index of contenders.keys()) {
      const contender = contenders[(index + round + warmUps) % contenders.length]
      if (contender === undefined) continue
      const samples = await contender.run()
      if (round >= 0) taken.get(contender.name)?.push(samples)
    }
  }
  return {
    name: plan.name,
    // Without /proc there is no CPU time, and no ratio of it.
    ratios: plan.comparisons
      .map((comparison) => compare(comparison, taken))
      .filter((ratio) => Number.isFinite(ratio.median)),
    figures: contenders.flatMap(({ name }) => figuresOf(name, taken.get(name) ?? [])),
  }
}

function compare(comparison: Comparison, taken: ReadonlyMap<string, Samples[]>): Ratio {
  const { of, to, metric, peerMetric = metric } = comparison
  const peers = taken.get(to) ?? []
  const ratios = (taken.get(of) ?? []).map(
    (ours, round) => median(ours[metric] ?? []) / median(peers[round]?.[peerMetric] ?? []),
  )
  return {
    ...comparison,
    median: median(ratios),
    min: Math.min(...ratios),
    max: Math.max(...ratios),
    rounds: ratios.length,
  }
}

function figuresOf(contender: string, rounds: readonly Samples[]): Figure[] {
  return Object.keys(rounds[0] ?? {}).map((metric) => ({
    contender,
    metric,
    ...summarize(rounds.flatMap((samples) => samples[metric] ?? [])),
  }))
}

export interface Timed<T> {
  readonly ms: number
  readonly value: T
}

/** Calls `once` `count` times, `inFlight` at a time, and times each call. */
export async function drive<T>(
  load: { readonly count: number; readonly inFlight: number },
  once: (index: number, lane: number) => Promise<T>,
): Promise<Timed<T>[]> {
  const timed: Timed<T>[] = []
  let next = 0
  const work = async (lane: number) => {
    while (next < load.count) {
      const index = next++
      const startedMs = performance.now()
      const value = await once(index, lane)
      timed.push({ ms: performance.now() - startedMs, value })
    }
  }
  await Promise.all(
    Array.from({ length: Math.min(load.inFlight, load.count) }, (_, lane) => work(lane)),
  )
  return timed
}

/** Calls `once` at this rate, however long each call takes. A call's time begins when it was due. */
export async function drivePaced<T>(
  load: { readonly count: number; readonly perSecond: number },
  once: (index: number) => Promise<T>,
): Promise<Timed<T>[]> {
  const startedMs = performance.now()
  const calls = Array.from({ length: load.count }, async (_, index) => {
    const dueMs = startedMs + (index * 1000) / load.perSecond
    await sleep(Math.max(0, dueMs - performance.now()))
    const value = await once(index)
    return { ms: performance.now() - dueMs, value }
  })
  return Promise.all(calls)
}
