/** Measures how long a device works on a pass: by its timestamps, or by CPU time where a processor emulates it. */
import { BUFFER_USAGE, readBuffer } from '#engine/pace/gpu-buffers.ts'
import type { CalibrateOptions } from './calibrate.ts'

const STAMPS_BYTES = 16
const NS_PER_MS = 1e6

export function createStopwatch({ device, isSoftware, now, processor }: CalibrateOptions) {
  const stamps =
    !isSoftware && device.features.has('timestamp-query') ? createStamps(device) : undefined
  return {
    /** @param groups workgroups of the pass: a single one occupies a single core */
    async time(groups: number, encode: (pass: GPUComputePassEncoder) => void): Promise<number> {
      const usedBeforeMs = processor?.usedMs() ?? 0
      const startedMs = now()
      const encoder = device.createCommandEncoder()
      const pass = encoder.beginComputePass(stamps?.descriptor)
      encode(pass)
      pass.end()
      stamps?.resolve(encoder)
      device.queue.submit([encoder.finish()])
      await device.queue.onSubmittedWorkDone()
      const clockMs = now() - startedMs
      const deviceMs = await stamps?.read()
      if (deviceMs !== undefined && deviceMs > 0) return Math.min(clockMs, deviceMs)
      if (!isSoftware || processor === undefined) return clockMs
      // Other load on the machine advances the clock, but not this process's CPU time.
      const usedMs = (processor.usedMs() - usedBeforeMs) / Math.min(processor.cores, groups)
      return Math.min(clockMs, usedMs)
    },
    close: () => stamps?.close(),
  }
}

function createStamps(device: GPUDevice) {
  const querySet = device.createQuerySet({ type: 'timestamp', count: 2 })
  const { COPY_DST, COPY_SRC, MAP_READ, QUERY_RESOLVE } = BUFFER_USAGE
  const create = (usage: number) => device.createBuffer({ size: STAMPS_BYTES, usage })
  const resolved = create(QUERY_RESOLVE | COPY_SRC)
  const readable = create(MAP_READ | COPY_DST)
  return {
    descriptor: {
      timestampWrites: { querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 },
    } satisfies GPUComputePassDescriptor,
    resolve(encoder: GPUCommandEncoder) {
      encoder.resolveQuerySet(querySet, 0, 2, resolved, 0)
      encoder.copyBufferToBuffer(resolved, 0, readable, 0, STAMPS_BYTES)
    },
    async read() {
      const { buffer } = await readBuffer(readable, STAMPS_BYTES)
      const [begun = 0n, ended = 0n] = new BigUint64Array(buffer)
      return Number(ended - begun) / NS_PER_MS
    },
    close() {
      querySet.destroy()
      resolved.destroy()
      readable.destroy()
    },
  }
}
