/** Measures how long a device works on a pass: by its timestamps, or by CPU time where a processor emulates it. */
import type { CalibrateOptions } from './calibrate.ts'

export interface Stopwatch {
  /** @param groups workgroups of the pass: a single one occupies a single core */
  time(groups: number, encode: (pass: GPUComputePassEncoder) => void): Promise<number>
  close(): void
}

// Values of GPUBufferUsage and GPUMapMode: https://www.w3.org/TR/webgpu/#buffer-usage
const USAGE = { MAP_READ: 1, COPY_SRC: 4, COPY_DST: 8, QUERY_RESOLVE: 512 } as const
const MAP_READ = 1
const STAMPS_BYTES = 16
const NS_PER_MS = 1e6

export function createStopwatch({
  device,
  isSoftware,
  now,
  processor,
}: CalibrateOptions): Stopwatch {
  const stamps =
    !isSoftware && device.features.has('timestamp-query') ? createStamps(device) : undefined
  return {
    async time(groups, encode) {
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
  const resolved = device.createBuffer({
    size: STAMPS_BYTES,
    usage: USAGE.QUERY_RESOLVE | USAGE.COPY_SRC,
  })
  const readable = device.createBuffer({
    size: STAMPS_BYTES,
    usage: USAGE.MAP_READ | USAGE.COPY_DST,
  })
  return {
    descriptor: {
      timestampWrites: { querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 },
    } satisfies GPUComputePassDescriptor,
    resolve(encoder: GPUCommandEncoder) {
      encoder.resolveQuerySet(querySet, 0, 2, resolved, 0)
      encoder.copyBufferToBuffer(resolved, 0, readable, 0, STAMPS_BYTES)
    },
    async read() {
      await readable.mapAsync(MAP_READ)
      const [begun = 0n, ended = 0n] = new BigUint64Array(readable.getMappedRange())
      readable.unmap()
      return Number(ended - begun) / NS_PER_MS
    },
    close() {
      querySet.destroy()
      resolved.destroy()
      readable.destroy()
    },
  }
}
