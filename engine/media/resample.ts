/** Converts sound to another sample rate with a windowed sinc below the lower Nyquist limit. */

/** Zero crossings on each side. 16 keep aliases under -60 dB, which is enough for speech. */
const CROSSINGS = 16
/** Positions between two samples for which the kernel is tabulated. */
const PHASES = 256

export function resample(samples: Float32Array, fromHz: number, toHz: number): Float32Array {
  if (fromHz === toHz) return samples
  const cutoff = Math.min(1, toHz / fromHz)
  const reach = Math.ceil(CROSSINGS / cutoff)
  const kernels = Array.from({ length: PHASES + 1 }, (_, phase) =>
    makeKernel(phase / PHASES, reach, cutoff),
  )
  const out = new Float32Array(Math.floor((samples.length * toHz) / fromHz))
  for (let n = 0; n < out.length; n++) {
    const position = (n * fromHz) / toHz
    const before = Math.floor(position)
    const kernel = kernels[Math.round((position - before) * PHASES)]
    let sum = 0
    const first = Math.max(0, before - reach + 1)
    const last = Math.min(samples.length - 1, before + reach)
    for (let at = first; at <= last; at++)
      sum += (samples[at] ?? 0) * (kernel?.[at - before + reach - 1] ?? 0)
    out[n] = sum
  }
  return out
}

/** Computes the weights of samples `reach - 1` before to `reach` after a point `part` behind a sample; they sum to 1. */
function makeKernel(part: number, reach: number, cutoff: number): Float32Array {
  const kernel = new Float32Array(2 * reach)
  let sum = 0
  for (let i = 0; i < kernel.length; i++) {
    const distance = i - reach + 1 - part
    const x = Math.PI * cutoff * distance
    const window = Math.cos((Math.PI * distance) / (2 * reach)) ** 2
    const weight = (Math.abs(x) < 1e-9 ? 1 : Math.sin(x) / x) * window
    kernel[i] = weight
    sum += weight
  }
  return kernel.map((weight) => weight / sum)
}
