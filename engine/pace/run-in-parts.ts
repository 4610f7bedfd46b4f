/** Submits dispatches part by part, each one piece of the device's time, the next after the last has ended. */
import { BUFFER_USAGE } from './gpu-buffers.ts'
import type { Pieces } from './pieces.ts'
import { nextBox, productOf, type Box, type Triple } from './next-box.ts'

export interface Dispatch {
  readonly pipeline: GPUComputePipeline
  readonly group: GPUBindGroup
  readonly workgroups: Triple
  /** Invocations of a workgroup, by axis. */
  readonly workgroupSize: Triple
  /** Items of one workgroup, in units of the pieces. */
  readonly items: number
  readonly isSplit: boolean
  /** Makes the host's own bind group from the block that says where a part begins. */
  readonly own: ((part: GPUBufferBinding) => GPUBindGroup) | undefined
}

export interface PartsOptions {
  readonly device: GPUDevice
  readonly pieces: Pieces
  readonly now: () => number
  /** Called before each submission. @throws to stop */
  readonly check: () => void
  /** Encodes the read-back after the last part. */
  readonly finish: (encoder: GPUCommandEncoder) => void
}

/** Three times three words with one of padding each. */
const PART_BYTES = 48
/** WebGPU's default of minUniformBufferOffsetAlignment. */
const STRIDE_BYTES = 256

interface Part {
  readonly dispatch: Dispatch
  readonly box: Box
}

export async function runInParts(
  dispatches: readonly Dispatch[],
  { device, pieces, now, check, finish }: PartsOptions,
): Promise<void> {
  const cursor = createCursor(dispatches)
  while (!cursor.isAtEnd()) {
    check()
    const { parts, items } = cursor.take(pieces.size())
    const encoder = device.createCommandEncoder()
    const buffer = encodeParts(device, encoder, parts)
    if (cursor.isAtEnd()) finish(encoder)
    const startedMs = now()
    device.queue.submit([encoder.finish()])
    await device.queue.onSubmittedWorkDone()
    buffer.destroy()
    pieces.took(items, now() - startedMs)
  }
}

/** Encodes parts as one piece. @returns a buffer that they need until they have run */
export function encodeParts(
  device: GPUDevice,
  encoder: GPUCommandEncoder,
  parts: readonly Part[],
): GPUBuffer {
  const size = Math.max(1, parts.length) * STRIDE_BYTES
  const usage = BUFFER_USAGE.UNIFORM | BUFFER_USAGE.COPY_DST
  const buffer = device.createBuffer({ size, usage })
  const words = new Uint32Array(size / 4)
  const pass = encoder.beginComputePass()
  parts.forEach(({ dispatch, box }, index) => {
    const { pipeline, group, own } = dispatch
    words.set(partWords(dispatch, box), (index * STRIDE_BYTES) / 4)
    pass.setPipeline(pipeline)
    pass.setBindGroup(0, group)
    if (own !== undefined)
      pass.setBindGroup(1, own({ buffer, offset: index * STRIDE_BYTES, size: PART_BYTES }))
    pass.dispatchWorkgroups(...box.size)
  })
  pass.end()
  device.queue.writeBuffer(buffer, 0, words)
  return buffer
}

export function wholeParts(dispatches: readonly Dispatch[]): Part[] {
  return dispatches.map((dispatch) => ({
    dispatch,
    box: { at: [0, 0, 0], size: dispatch.workgroups },
  }))
}

function partWords({ workgroups, workgroupSize }: Dispatch, { at }: Box): number[] {
  const [x, y, z] = at
  const [width, height, depth] = workgroupSize
  return [...at, 0, x * width, y * height, z * depth, 0, ...workgroups, 0]
}

/** Takes as much of the dispatches as a piece allows, at least one workgroup. */
function createCursor(dispatches: readonly Dispatch[]) {
  let index = 0
  let from = 0
  return {
    isAtEnd: () => index >= dispatches.length,
    take(most: number) {
      const parts: Part[] = []
      let items = 0
      for (let [dispatch] = dispatches.slice(index); dispatch !== undefined;) {
        const { workgroups, isSplit } = dispatch
        const rest = productOf(workgroups) - from
        const fits = Math.floor((most - items) / dispatch.items)
        const least = parts.length === 0 ? 1 : 0
        const wanted = isSplit ? Math.max(least, fits) : least === 1 || fits >= rest ? rest : 0
        if (wanted === 0) break
        const box = nextBox(workgroups, from, Math.min(wanted, rest))
        parts.push({ dispatch, box })
        items += productOf(box.size) * dispatch.items
        from += productOf(box.size)
        if (from < productOf(workgroups)) continue
        from = 0
        index += 1
        dispatch = dispatches[index]
      }
      return { parts, items }
    },
  }
}
