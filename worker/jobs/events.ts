/** A batch's progress as server-sent events: each ended item, the state of the batch, and the end. */
import type { BatchCore } from './core.ts'

/** Longest life of one event stream. */
const JOBS_EVENTS_MS = 900_000

export interface EventsOptions {
  /** Sequence of the last event that the reader has. */
  readonly after: number
  readonly ingress: number
  /** Aborts when the reader leaves. */
  readonly gone: AbortSignal
  readonly nowMs: () => number
  /** Resolves after this time, or when the signal aborts. */
  readonly pause: (delayMs: number, signal: AbortSignal) => Promise<void>
}

const PAGE = 100
const SILENCE_MS = 15_000
/** The shortest time between two progress events; many items may end within it. */
const PACE_MS = 100

/**
 * `id` counts items in the order in which they ended, so a reader that reconnects misses none and gets none twice.
 * A stream ends after `JOBS_EVENTS_MS`; an EventSource then reconnects.
 */
export async function* writeBatchEvents(
  core: Pick<BatchCore, 'events' | 'changed'>,
  options: EventsOptions,
): AsyncGenerator<string> {
  const { ingress, gone, nowMs, pause } = options
  const endsAtMs = nowMs() + JOBS_EVENTS_MS
  let { after } = options
  let told = ''
  while (!gone.aborted && nowMs() < endsAtMs) {
    const changed = core.changed()
    const { ended, status, endSeq } = core.events({ after, limit: PAGE }, ingress)
    for (const { seq, item } of ended) {
      after = seq
      yield writeEvent('item', item, seq)
    }
    if (ended.length === PAGE) continue
    if (endSeq !== null) {
      yield writeEvent('end', status, endSeq)
      return
    }
    const { id, status: state, counts, etaMs, waiting } = status
    const progress = JSON.stringify({ id, status: state, counts, waiting })
    if (progress !== told)
      yield writeEvent('progress', { id, status: state, counts, etaMs, waiting })
    told = progress
    await pause(PACE_MS, gone)
    const silence = new AbortController()
    const outcome = await Promise.race([
      changed.then(() => 'changed'),
      pause(SILENCE_MS, AbortSignal.any([gone, silence.signal])).then(() => 'silent'),
    ])
    silence.abort()
    if (outcome === 'silent' && !gone.aborted) yield ': waiting\n\n'
  }
}

function writeEvent(name: string, data: object, id?: number): string {
  const idLine = id === undefined ? '' : `id: ${id}\n`
  return `${idLine}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`
}
