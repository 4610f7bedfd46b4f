/** Paces what a runtime submits to its device: a short piece of work at a time, and nothing for a stopped job. */
import { createPieces } from './pieces.ts'

export interface Pace {
  /** Submits the commands of `run` until the signal stops it. The data that a stopped run reads back is meaningless. */
  during<T>(signal: AbortSignal, run: () => Promise<T>): Promise<T>
}

interface Step {
  /** Commands for the device, which a stopped job drops. */
  readonly isWork: boolean
  readonly act: () => void
}

/** Most submissions in flight on a fast device. */
const MOST_IN_FLIGHT = 64
/** Most steps that wait. A run waits for its answer, so a graph bounds them; beyond this all are submitted. */
const MOST_WAITING = 8_192

/**
 * A runtime submits a whole run at once, and a device cannot be stopped. So submissions wait here, together with
 * whatever must keep its order: writes, mapping and destruction of the device's buffers.
 */
export function paceDevice(device: GPUDevice, now: () => number): Pace {
  const { queue } = device
  const pieces = createPieces({ first: 1, most: MOST_IN_FLIGHT, now })
  const waiting: Step[] = []
  let stop: AbortSignal | undefined
  let inFlight = 0
  let startedMs = 0

  const drain = (isForced = false) => {
    for (let [next] = waiting; next !== undefined; [next] = waiting) {
      const isStopped = stop?.aborted === true
      if (next.isWork && !isStopped && !isForced && inFlight >= pieces.size()) return
      waiting.shift()
      if (!next.isWork || !isStopped) next.act()
    }
  }
  const enter: Enter = (isWork, act) => {
    waiting.push({ isWork, act })
    drain(waiting.length > MOST_WAITING)
    return undefined
  }
  const submit = queue.submit.bind(queue)
  const submitNow = (commands: readonly GPUCommandBuffer[]) => {
    if (inFlight === 0) startedMs = now()
    const mine = (inFlight += 1)
    submit(commands)
    const onDone = () => {
      // More was submitted into the same piece.
      if (mine !== inFlight) return
      pieces.took(inFlight, now() - startedMs)
      inFlight = 0
      drain()
    }
    queue.onSubmittedWorkDone().then(onDone, onDone)
  }
  queue.submit = (commands) => {
    const kept = [...commands]
    enter(true, () => submitNow(kept))
  }
  keepWrites(queue, { isBehind: () => waiting.length > 0, enter })
  keepBuffers(device, enter)
  return {
    async during(signal, run) {
      const onAbort = () => drain()
      stop = signal
      signal.addEventListener('abort', onAbort)
      try {
        return await run()
      } finally {
        // A stopped run did not wait for what is still in flight.
        if (signal.aborted) await queue.onSubmittedWorkDone()
        signal.removeEventListener('abort', onAbort)
        stop = undefined
      }
    },
  }
}

/** Returns undefined, as the wrapped calls do. */
type Enter = (isWork: boolean, act: () => void) => undefined

/** A delayed write keeps a copy, since the caller may reuse its bytes at once. */
function keepWrites(
  queue: GPUQueue,
  { isBehind, enter }: { readonly isBehind: () => boolean; readonly enter: Enter },
): void {
  const write = queue.writeBuffer.bind(queue)
  queue.writeBuffer = (buffer, offset, data, start = 0, size) => {
    if (!isBehind()) {
      write(buffer, offset, data, start, size)
      return undefined
    }
    const unit = 'BYTES_PER_ELEMENT' in data ? Number(data.BYTES_PER_ELEMENT) : 1
    const bytes = ArrayBuffer.isView(data)
      ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
      : new Uint8Array(data)
    const end = size === undefined ? undefined : (start + size) * unit
    const copy = Uint8Array.from(bytes.subarray(start * unit, end))
    return enter(false, () => write(buffer, offset, copy))
  }
}

function keepBuffers(device: GPUDevice, enter: Enter): void {
  const create = device.createBuffer.bind(device)
  device.createBuffer = (descriptor) => {
    const buffer = create(descriptor)
    const map = buffer.mapAsync.bind(buffer)
    const destroy = buffer.destroy.bind(buffer)
    buffer.mapAsync = (...args) =>
      new Promise((resolve, reject) => {
        enter(false, () => void map(...args).then(resolve, reject))
      })
    buffer.destroy = () => enter(false, () => destroy())
    return buffer
  }
}
