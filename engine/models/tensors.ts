/** Tensors that several models make: floats, and pictures with their channels first. */
import type { TensorValue } from '#shared/job/tensor.ts'

export function floatTensor(shape: readonly number[], values: ArrayLike<number>): TensorValue {
  return { shape, bytes: new Uint8Array(Float32Array.from(values).buffer) }
}

/** The detector's and recogniser's training pictures came from OpenCV. */
export const BLUE_GREEN_RED = [2, 1, 0] as const

/** Converts RGB pixels, three floats each → blue, green and red planes. `normalise` gets a value and its plane's index. */
export function toPlanes(
  pixels: Float32Array,
  normalise: (value: number, plane: number) => number,
): Float32Array {
  const size = pixels.length / 3
  const planes = new Float32Array(pixels.length)
  for (const [plane, channel] of BLUE_GREEN_RED.entries())
    for (let i = 0; i < size; i++)
      planes[plane * size + i] = normalise(pixels[i * 3 + channel] ?? 0, plane)
  return planes
}
