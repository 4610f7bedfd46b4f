/** `conv1d@1` and `conv2d@1`: a thread computes four channels of four adjacent outputs. One axis is two axes of height 1. */
import type { ResolvedJob } from '#shared/kernels/kernels.ts'
import { LINEAR_MAIN, threadGroups, type LibraryKernel } from './kernel.ts'

const FOUR = [0, 1, 2, 3] as const

const SOURCE = `struct P {
  threads: u32, channels: u32, outChannels: u32,
  height: i32, width: i32, outHeight: u32, outWidth: u32,
  tapsHigh: u32, tapsWide: u32,
  strideHigh: i32, strideWide: i32, paddingHigh: i32, paddingWide: i32, dilation: i32,
}
@group(0) @binding(0) var<uniform> p: P;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
fn pixel(row: i32, column: i32) -> f32 {
  if (column < 0 || column >= p.width) { return 0.0; }
  return x[row + column];
}
${LINEAR_MAIN}
  if (i >= p.threads) { return; }
  let across = (p.outWidth + 3u) / 4u;
  let quads = (p.outChannels + 3u) / 4u;
  let column = (i % across) * 4u;
  let line = (i / across) % p.outHeight;
  let quad = (i / across / p.outHeight) % quads;
  let image = i / across / p.outHeight / quads;
  let taps = p.tapsHigh * p.tapsWide;
  let reach = p.channels * taps;
  ${FOUR.map((o) => `let w${o} = min(quad * 4u + ${o}u, p.outChannels - 1u) * reach;`).join('\n  ')}
  ${FOUR.map((o) => `var s${o} = vec4<f32>();`).join('\n  ')}
  let left = i32(column) * p.strideWide - p.paddingWide;
  let top = i32(line) * p.strideHigh - p.paddingHigh;
  for (var channel = 0u; channel < p.channels; channel++) {
    for (var high = 0u; high < p.tapsHigh; high++) {
      let at = top + i32(high) * p.dilation;
      if (at < 0 || at >= p.height) { continue; }
      let row = (i32(image * p.channels + channel) * p.height + at) * p.width;
      for (var wide = 0u; wide < p.tapsWide; wide++) {
        let start = left + i32(wide) * p.dilation;
        let v = vec4(${FOUR.map((c) => `pixel(row, start + ${c} * p.strideWide)`).join(', ')});
        let tap = channel * taps + high * p.tapsWide + wide;
        ${FOUR.map((o) => `s${o} += v * w[w${o} + tap];`).join('\n        ')}
      }
    }
  }
  let plane = p.outHeight * p.outWidth;
  let out = (image * p.outChannels + quad * 4u) * plane + line * p.outWidth + column;
  ${FOUR.map(
    (o) => `if (quad * 4u + ${o}u < p.outChannels) {
    ${FOUR.map((c) => `if (column + ${c}u < p.outWidth) { y[out + ${o}u * plane + ${c}u] = s${o}[${c}]; }`).join('\n    ')}
  }`,
  ).join('\n  ')}
}
`

export interface ConvolutionShape {
  readonly batch: number
  readonly channels: number
  readonly outChannels: number
  readonly size: readonly [number, number]
  readonly out: readonly [number, number]
  readonly taps: readonly [number, number]
  readonly stride: readonly [number, number]
  readonly padding: readonly [number, number]
  readonly dilation: number
}

export function convolutionShape({ inputs, outputs, params }: ResolvedJob): ConvolutionShape {
  const shapes = [inputs[0], inputs[1], outputs[0]].map((tensor) => tensor?.shape ?? [])
  const [x = [], w = [], y = []] = shapes.map((shape) =>
    shape.length === 3 ? [...shape.slice(0, 2), 1, shape[2] ?? 1] : shape,
  )
  const isLine = inputs[0]?.shape.length === 3
  const pair = (shape: readonly number[]) => [shape[2] ?? 1, shape[3] ?? 1] as const
  return {
    batch: x[0] ?? 1,
    channels: x[1] ?? 1,
    outChannels: w[0] ?? 1,
    size: pair(x),
    out: pair(y),
    taps: pair(w),
    stride: [isLine ? 1 : Number(params.stride), Number(params.stride)],
    padding: [isLine ? 0 : Number(params.padding), Number(params.padding)],
    dilation: Number(params.dilation),
  }
}

function convolution(name: string): LibraryKernel {
  return {
    name,
    sources: { direct: SOURCE },
    variants: { software: ['direct'], hardware: ['direct'] },
    plan(job) {
      const { batch, channels, outChannels, size, out, taps, stride, padding, dilation } =
        convolutionShape(job)
      const threads = batch * Math.ceil(outChannels / 4) * out[0] * Math.ceil(out[1] / 4)
      const words = [
        threads,
        channels,
        outChannels,
        ...size,
        ...out,
        ...taps,
        ...stride,
        ...padding,
        dilation,
      ]
      const pass = {
        source: 'direct',
        buffers: ['x', 'w', 'y'],
        words,
        workgroups: threadGroups(threads),
      }
      return { passes: [pass] }
    },
  }
}

export const CONV1D = convolution('conv1d@1')
export const CONV2D = convolution('conv2d@1')
