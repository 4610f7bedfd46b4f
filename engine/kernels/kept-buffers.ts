/** Buffers that stay on the device between the steps of a session. Bounded; the least recently used leave first. */
import { AppError } from '#shared/base/errors.ts'
import type { KernelWork } from '#shared/job/job.ts'
import { LIMITS, MIB } from '#shared/base/limits.ts'

/** Sessions whose buffers one device keeps. The least recently used goes first. */
const DEVICE_SESSIONS = 32
/** Buffers of all sessions that one device keeps. */
const DEVICE_SESSION_BYTES = 128 * MIB

type Session = NonNullable<KernelWork['session']>

interface Kept {
  readonly step: number
  readonly usedAtMs: number
  readonly sizeBytes: number
  readonly buffers: ReadonlyMap<number, GPUBuffer>
}

export type KeptBuffers = ReturnType<typeof createKeptBuffers>

export function createKeptBuffers(nowMs: () => number = () => performance.now()) {
  // In order of use: a session that is kept again moves to the end.
  const sessions = new Map<string, Kept>()
  let timer: ReturnType<typeof setTimeout> | undefined

  const remove = (id: string) => {
    for (const buffer of sessions.get(id)?.buffers.values() ?? []) buffer.destroy()
    sessions.delete(id)
  }
  const trim = () => {
    const idleSinceMs = nowMs() - LIMITS.sessionIdleMs
    let sizeBytes = [...sessions.values()].reduce((sum, kept) => sum + kept.sizeBytes, 0)
    for (const [id, kept] of sessions) {
      const isOver = sessions.size > DEVICE_SESSIONS || sizeBytes > DEVICE_SESSION_BYTES
      if (!isOver && kept.usedAtMs > idleSinceMs) return
      sizeBytes -= kept.sizeBytes
      remove(id)
    }
  }

  /** A session's end is not announced, so a timer removes idle buffers. */
  const wait = () => {
    if (timer !== undefined) clearTimeout(timer)
    timer = undefined
    const [oldest] = sessions.values()
    if (oldest === undefined) return
    const restMs = Math.max(0, oldest.usedAtMs + LIMITS.sessionIdleMs - nowMs())
    timer = setTimeout(() => {
      trim()
      wait()
    }, restMs + 1)
  }

  return {
    /**
     * Takes the buffers that the previous step left. The caller then owns them.
     * @throws {AppError} node_lost when they are not here: the session restarts from its checkpoint
     */
    take({ id, step }: Session): ReadonlyMap<number, GPUBuffer> {
      const kept = sessions.get(id)
      if (kept === undefined || kept.step !== step - 1) {
        remove(id)
        throw new AppError('node_lost', 'This node does not hold the session before this step.')
      }
      sessions.delete(id)
      return kept.buffers
    },
    drop: ({ id }: Session) => remove(id),
    keep({ id, step }: Session, buffers: ReadonlyMap<number, GPUBuffer>) {
      remove(id)
      const sizeBytes = [...buffers.values()].reduce((sum, buffer) => sum + buffer.size, 0)
      sessions.set(id, { step, usedAtMs: nowMs(), sizeBytes, buffers })
      trim()
      if (timer === undefined) wait()
    },
    clear() {
      for (const id of sessions.keys()) remove(id)
      wait()
    },
  }
}
