/** How much longer than expected jobs take, by kind and size of work: live quantiles. In memory only. */
import { BoundedMap } from '#shared/base/bounded-map.ts'

/** A job is late once it takes longer than this share of the jobs like it, each measured by its own expected time. */
const LATE = 0.95
/** Answers without which nothing is called late. */
const LEAST_ANSWERS = 64
/** At this number of answers all counts are halved, so that the last few hundred decide. */
const MOST_ANSWERS = 1_024
/** Bins for each doubling of the ratio, and the range they cover. */
const PER_DOUBLING = 8
const LEAST_RATIO = 1 / 8
const BINS = PER_DOUBLING * 10
const KINDS_KEPT = 256

interface Histogram {
  readonly counts: Float64Array
  total: number
}

export class Lateness {
  readonly #kinds = new BoundedMap<string, Histogram>(KINDS_KEPT)

  /** @param kind of the work and its size @param ratio of the time that a job took, or was cut off after, to its expected time */
  record(kind: string, ratio: number): void {
    const known = this.#kinds.get(kind)
    const kept = known ?? { counts: new Float64Array(BINS), total: 0 }
    if (known === undefined) this.#kinds.set(kind, kept)
    const bin = Math.floor(Math.log2(ratio / LEAST_RATIO) * PER_DOUBLING)
    const at = Math.min(BINS - 1, Math.max(0, bin))
    kept.counts[at] = (kept.counts[at] ?? 0) + 1
    kept.total += 1
    if (kept.total < MOST_ANSWERS) return
    kept.counts.forEach((count, index) => (kept.counts[index] = count / 2))
    kept.total /= 2
  }

  /** The ratio from which a job is late; Infinity while too few are known. */
  ratioOf(kind: string): number {
    const kept = this.#kinds.get(kind)
    if (kept === undefined || kept.total < LEAST_ANSWERS) return Infinity
    let above = kept.total * (1 - LATE)
    for (let bin = BINS - 1; bin >= 0; bin -= 1) {
      above -= kept.counts[bin] ?? 0
      // The upper edge of the bin: a coarse bin never makes a job late too early.
      if (above < 0) return LEAST_RATIO * 2 ** ((bin + 1) / PER_DOUBLING)
    }
    return Infinity
  }
}
