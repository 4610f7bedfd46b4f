/** Buffers of a device: the flags, whose globals not every runtime has, and reading and writing whole words. */

// https://www.w3.org/TR/webgpu/#buffer-usage
export const BUFFER_USAGE = {
  MAP_READ: 1,
  COPY_SRC: 4,
  COPY_DST: 8,
  UNIFORM: 64,
  STORAGE: 128,
  QUERY_RESOLVE: 512,
} as const

// https://www.w3.org/TR/webgpu/#map-mode
const MAP_MODE_READ = 1

/** Rounds up: WebGPU copies and writes multiples of 4 bytes. */
export function align4(sizeBytes: number): number {
  return Math.ceil(sizeBytes / 4) * 4
}

/** Copies to a length that is a multiple of 4, as writeBuffer requires. */
export function padded(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(align4(bytes.length))
  copy.set(bytes)
  return copy
}

export async function readBuffer(
  buffer: GPUBuffer,
  sizeBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  await buffer.mapAsync(MAP_MODE_READ)
  const bytes = new Uint8Array(buffer.getMappedRange()).slice(0, sizeBytes)
  buffer.unmap()
  return bytes
}
