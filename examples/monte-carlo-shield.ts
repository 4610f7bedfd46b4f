/** Neutrons through a slab as one WGSL kernel, and the batch that follows them in many parts. */
import { RANDOM_WGSL } from './random-wgsl.ts'

export interface Study {
  /** Thicknesses of the slab, in mean free paths. */
  readonly thicknesses: readonly number[]
  /** Probability that a collision scatters, evenly in all directions; otherwise it absorbs. */
  readonly scattering: number
  /** Histories of each thickness in one item, split evenly over 64 threads. */
  readonly historiesPerItem: number
  readonly items: number
  readonly seed: number
}

/** Counts for one thickness, in one item or in all. */
export interface Tally {
  readonly through: number
  readonly back: number
  readonly absorbed: number
}

export interface Estimate {
  /** Share of the neutrons that came through. */
  readonly mean: number
  /** Standard error of the mean, from the spread between items. */
  readonly standardError: number
}

const THREADS = 64

function wgsl({ thicknesses, scattering, historiesPerItem }: Study): string {
  return `
const HISTORIES = ${Math.ceil(historiesPerItem / THREADS)}u;
const SCATTERING = ${scattering.toFixed(6)};
const COLLISIONS = 400u;

@group(0) @binding(0) var<storage, read> item: array<u32, 4>;
@group(0) @binding(1) var<storage, read> thickness: array<f32, ${thicknesses.length}>;
@group(0) @binding(2) var<storage, read_write> tally: array<atomic<u32>, ${thicknesses.length * 3}>;
${RANDOM_WGSL}

// In (0, 1]: its logarithm is finite.
fn random() -> f32 {
  return (f32(randomBits()) + 1.0) / 16777216.0;
}

// 0: through, 1: back, 2: absorbed. Distances are in mean free paths.
fn follow(slab: f32) -> u32 {
  var depth = 0.0;
  var cosine = 1.0;
  for (var collision = 0u; collision < COLLISIONS; collision++) {
    depth += -log(random()) * cosine;
    if (depth >= slab) { return 0u; }
    if (depth < 0.0) { return 1u; }
    if (random() > SCATTERING) { return 2u; }
    cosine = 2.0 * random() - 1.0;
  }
  return 2u;
}

@compute @workgroup_size(${THREADS}) fn main(
  @builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  var counts = array<u32, 3>(0u, 0u, 0u);
  state = mixBits(mixBits(item[0] + 1u) ^ mixBits((group.x * ${THREADS}u + thread) * 0x9e3779b9u + item[3]));
  for (var history = 0u; history < HISTORIES; history++) {
    let end = follow(thickness[group.x]);
    counts[0] += select(0u, 1u, end == 0u);
    counts[1] += select(0u, 1u, end == 1u);
    counts[2] += select(0u, 1u, end == 2u);
  }
  for (var i = 0u; i < 3u; i++) { atomicAdd(&tally[group.x * 3u + i], counts[i]); }
}`
}

/** The body of `POST /v1/jobs`: the built-in reduction adds up all counts, and the counts of each item are kept. */
export function studyBatch(study: Study): object {
  const { thicknesses, items, seed } = study
  const shared = Buffer.from(Float32Array.from(thicknesses).buffer).toString('base64')
  return {
    kernel: { wgsl: wgsl(study), entryPoint: 'main', workgroups: [thicknesses.length, 1, 1] },
    buffers: [
      { binding: 1, access: 'read', data: shared },
      { binding: 2, access: 'read_write', sizeBytes: thicknesses.length * 12, return: true },
    ],
    range: { end: items, binding: 0, seed },
    reduce: { op: 'sum', datatype: 'UINT32' },
  }
}

/** Counts of each thickness in one item's bytes. */
export function readTallies(bytes: Uint8Array): Tally[] {
  const counts = new Uint32Array(bytes.slice().buffer)
  return Array.from({ length: counts.length / 3 }, (_, i) => ({
    through: counts[i * 3] ?? 0,
    back: counts[i * 3 + 1] ?? 0,
    absorbed: counts[i * 3 + 2] ?? 0,
  }))
}

/** Reads the reduction's bytes: the counts over all items, as FP64. */
export function readSums(bytes: Uint8Array): Tally[] {
  const counts = Uint32Array.from(new Float64Array(bytes.slice().buffer))
  return readTallies(new Uint8Array(counts.buffer))
}

/** Mean over items and its standard error: items are independent, on whatever node they ran. */
export function estimate(shares: readonly number[]): Estimate {
  const n = shares.length
  const mean = shares.reduce((sum, share) => sum + share, 0) / n
  const spread = shares.reduce((sum, share) => sum + (share - mean) ** 2, 0) / (n - 1)
  return { mean, standardError: Math.sqrt(spread / n) }
}

export function shareThrough({ through, back, absorbed }: Tally): number {
  return through / (through + back + absorbed)
}
