/** `histogram@1`: each workgroup counts in its own memory and adds once, or all workgroups count in one place. */
import { floatWord, type LibraryKernel } from './kernel.ts'

const THREADS = 256
/** Values of each thread: enough that clearing and adding the bins costs less than counting. */
const VALUES = 64
const BINS_MOST = 4_096

const CLEAR = `struct P { bins: u32 }
@group(0) @binding(0) var<uniform> p: P;
@group(0) @binding(1) var<storage, read_write> counts: array<u32>;
@compute @workgroup_size(${THREADS})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < p.bins) { counts[id.x] = 0u; }
}
`

const BINDINGS = `struct P { n: u32, bins: u32, threads: u32, least: f32, most: f32, scale: f32 }
@group(0) @binding(0) var<uniform> p: P;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> counts: array<atomic<u32>>;
`

/** Counts every `p.threads`-th value in `target`. */
function counting(target: string): string {
  return `for (var at = id.x; at < p.n; at += p.threads) {
    let value = x[at];
    if (value >= p.least && value <= p.most) {
      let bin = min(u32((value - p.least) * p.scale), p.bins - 1u);
      atomicAdd(&${target}[bin], 1u);
    }
  }`
}

const OWN = `${BINDINGS}
var<workgroup> own: array<atomic<u32>, ${BINS_MOST}>;
@compute @workgroup_size(${THREADS})
fn main(
  @builtin(global_invocation_id) id: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  ${counting('own')}
  workgroupBarrier();
  for (var bin = lane; bin < p.bins; bin += ${THREADS}u) {
    let count = atomicLoad(&own[bin]);
    if (count > 0u) { atomicAdd(&counts[bin], count); }
  }
}
`

const SHARED = `${BINDINGS}
@compute @workgroup_size(${THREADS})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  ${counting('counts')}
}
`

export const HISTOGRAM: LibraryKernel = {
  name: 'histogram@1',
  sources: { clear: CLEAR, own: OWN, shared: SHARED },
  variants: { software: ['shared'], hardware: ['own'] },
  plan({ inputs, params }, variant) {
    const n = (inputs[0]?.shape ?? []).reduce((product, size) => product * size, 1)
    const bins = Number(params.bins)
    const [least, most] = [Math.fround(Number(params.min)), Math.fround(Number(params.max))]
    const groups = Math.min(Math.ceil(n / (THREADS * VALUES)), 4_096)
    const words = [
      n,
      bins,
      groups * THREADS,
      ...[least, most, binScale(least, most, bins)].map(floatWord),
    ]
    return {
      passes: [
        {
          source: 'clear',
          buffers: ['counts'],
          words: [bins],
          workgroups: [Math.ceil(bins / THREADS), 1, 1],
        },
        { source: variant, buffers: ['x', 'counts'], words, workgroups: [groups, 1, 1] },
      ],
    }
  },
}

export function binScale(least: number, most: number, bins: number): number {
  return bins / (most - least)
}
