/**
 * Power spectrum of a window of 4,096 samples: `spectrum@1`.
 *
 * In, binding 0: f32 `[4096]`, any unit u. Out, binding 1: f32 `[2048]`, u² in bin k at k · rate / 4096 Hz. A Hann
 * window, then one thread a bin sums the discrete Fourier transform. Integer arithmetic modulo 4,096 keeps the phase
 * exact, so the error is that of f32 sums: below 1e-3 of the largest bin.
 */
import { encodeBase64 } from '#shared/base/base64.ts'

export const SPECTRUM_SAMPLES = 4096
export const SPECTRUM_BINS = SPECTRUM_SAMPLES / 2
const WORKGROUP = 64

const WGSL = `// Littoral spectrum@1: Hann-windowed power spectrum of 4096 samples.
@group(0) @binding(0) var<storage, read> samples: array<f32>;
@group(0) @binding(1) var<storage, read_write> power: array<f32>;

const N = ${SPECTRUM_SAMPLES}u;
const TURN = 6.283185307179586 / f32(N);

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let bin = id.x;
  if (bin >= N / 2u) { return; }
  var re = 0.0;
  var im = 0.0;
  for (var n = 0u; n < N; n++) {
    let windowed = samples[n] * (0.5 - 0.5 * cos(TURN * f32(n)));
    let phase = TURN * f32((bin * n) % N);
    re += windowed * cos(phase);
    im -= windowed * sin(phase);
  }
  power[bin] = 4.0 * (re * re + im * im) / f32(N * N);
}
`

export interface Tone {
  readonly bin: number
  readonly frequencyHz: number
  readonly power: number
}

export const SPECTRUM_KERNEL = {
  name: 'spectrum@1',
  wgsl: WGSL,
  /** Makes the body of `POST /v1/compute` for one window. */
  request(samples: Float32Array) {
    const bytes = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength)
    return {
      kernel: {
        wgsl: WGSL,
        entryPoint: 'main',
        workgroups: [SPECTRUM_BINS / WORKGROUP, 1, 1] as const,
      },
      buffers: [
        { binding: 0, access: 'read' as const, data: encodeBase64(bytes) },
        {
          binding: 1,
          access: 'read_write' as const,
          sizeBytes: SPECTRUM_BINS * 4,
          return: true as const,
        },
      ],
    }
  },
  strongestTone(power: Float32Array, sampleRateHz: number): Tone {
    let bin = 1
    for (let k = 2; k < power.length; k += 1) if ((power[k] ?? 0) > (power[bin] ?? 0)) bin = k
    return { bin, frequencyHz: (bin * sampleRateHz) / SPECTRUM_SAMPLES, power: power[bin] ?? 0 }
  },
} as const
