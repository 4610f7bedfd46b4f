/** A fixed sensor window: a bearing that turns at 49.8 Hz, its harmonic, a faint fault tone and noise. */

export interface VibrationWindow {
  /** Acceleration in g, `[4096]`. */
  readonly samples: Float32Array
  readonly sampleRateHz: number
}

/** Tones in the window. */
export const TONES = [
  { frequencyHz: 49.8, amplitudeG: 0.8 },
  { frequencyHz: 99.6, amplitudeG: 0.25 },
  { frequencyHz: 312.5, amplitudeG: 0.12 },
] as const

const SAMPLE_RATE_HZ = 3_200
const NOISE_G = 0.05

export function vibrationWindow(): VibrationWindow {
  let state = 20_261_122
  const noise = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 31 - 1
  }
  const samples = Float32Array.from({ length: 4096 }, (_, n) => {
    const seconds = n / SAMPLE_RATE_HZ
    const tones = TONES.map(
      ({ frequencyHz, amplitudeG }) => amplitudeG * Math.sin(2 * Math.PI * frequencyHz * seconds),
    )
    return tones.reduce((sum, tone) => sum + tone, 0) + NOISE_G * noise()
  })
  return { samples, sampleRateHz: SAMPLE_RATE_HZ }
}
