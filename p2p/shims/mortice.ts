/**
 * Replaces `mortice` in bundles: read/write locks inside one isolate. The original coordinates workers over
 * BroadcastChannel, which workerd lacks. It also keeps locks in a global table by name, so two hubs in one isolate
 * would share them. Here each call makes its own lock.
 */

export interface LockOptions {
  readonly signal?: AbortSignal
}

export type Release = () => void

interface Waiter {
  readonly isWriter: boolean
  grant(): void
}

function createMortice() {
  const queue: Waiter[] = []
  let readers = 0
  let isWriting = false

  const pump = () => {
    for (let next = queue[0]; next !== undefined; next = queue[0]) {
      if (isWriting || (next.isWriter && readers > 0)) return
      queue.shift()
      if (next.isWriter) isWriting = true
      else readers += 1
      next.grant()
    }
  }
  const releaseOf = (isWriter: boolean): Release => {
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      if (isWriter) isWriting = false
      else readers -= 1
      pump()
    }
  }
  const lock = (isWriter: boolean, { signal }: LockOptions = {}) =>
    new Promise<Release>((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason as Error)
        return
      }
      const waiter: Waiter = {
        isWriter,
        grant() {
          signal?.removeEventListener('abort', onAbort)
          resolve(releaseOf(isWriter))
        },
      }
      const onAbort = () => {
        queue.splice(queue.indexOf(waiter), 1)
        reject(signal?.reason as Error)
        pump()
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      queue.push(waiter)
      pump()
    })
  return {
    readLock: (options?: LockOptions) => lock(false, options),
    writeLock: (options?: LockOptions) => lock(true, options),
    finalize() {},
  }
}

// The package that this stands in for has a default export.
// oxlint-disable-next-line import/no-default-export
export default createMortice
