/** `reduce@1`: each pass leaves partial results of strided segments, until one a row is left. */
import {
  floatWord,
  LINEAR_MAIN,
  rowsOf,
  threadGroups,
  type LibraryKernel,
  type Pass,
} from './kernel.ts'

/** Elements of one thread. Fewer would need more passes; more would leave threads idle. */
const SEGMENT = 64

function source(combine: string): string {
  return `struct P { rows: u32, length: u32, parts: u32, scale: f32 }
@group(0) @binding(0) var<uniform> p: P;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
fn take(a: f32, b: f32) -> f32 { return ${combine}; }
${LINEAR_MAIN}
  if (i >= p.rows * p.parts) { return; }
  let start = (i / p.parts) * p.length;
  let end = start + p.length;
  var at = start + i % p.parts;
  var whole = x[at];
  at += p.parts;
  let step = 4u * p.parts;
  while (at + 3u * p.parts < end) {
    whole = take(whole, take(take(x[at], x[at + p.parts]), take(x[at + 2u * p.parts], x[at + 3u * p.parts])));
    at += step;
  }
  while (at < end) { whole = take(whole, x[at]); at += p.parts; }
  y[i] = whole * p.scale;
}
`
}

/** WGSL that other kernels use too. */
export const REDUCE_SOURCES = {
  sum: source('a + b'),
  min: source('min(a, b)'),
  max: source('max(a, b)'),
} as const

export interface ReduceOptions {
  readonly from: string
  readonly to: string
  readonly source: string
  readonly rows: number
  readonly length: number
  readonly scale: number
}

/** Plans the passes of one reduction and their scratch; each name begins with `to`. */
export function planReduce(options: ReduceOptions): {
  passes: Pass[]
  scratch: Record<string, number>
} {
  const { to, source: op, rows, length, scale } = options
  const passes: Pass[] = []
  const scratch: Record<string, number> = {}
  let left = length
  let from = options.from
  do {
    const parts = left <= 2 * SEGMENT ? 1 : Math.ceil(left / SEGMENT)
    const target = parts === 1 ? to : `${to}${passes.length}`
    if (parts > 1) scratch[target] = rows * parts * 4
    passes.push({
      source: op,
      buffers: [from, target],
      words: [rows, left, parts, floatWord(parts === 1 ? scale : 1)],
      workgroups: threadGroups(rows * parts),
    })
    from = target
    left = parts
  } while (left > 1)
  return { passes, scratch }
}

export const REDUCE: LibraryKernel = {
  name: 'reduce@1',
  sources: REDUCE_SOURCES,
  variants: { software: ['segments'], hardware: ['segments'] },
  plan({ inputs, params }) {
    const { rows, length } = rowsOf(inputs[0]?.shape ?? [])
    const op = params.op === 'mean' ? 'sum' : String(params.op)
    const scale = params.op === 'mean' ? 1 / length : 1
    return planReduce({ from: 'x', to: 'y', source: op, rows, length, scale })
  },
}
