/** Kernels as people write them, with their inputs; every correct run gives the same bits. */

export interface SampleKernel {
  readonly wgsl: string
  readonly workgroups: readonly [number, number, number]
  /** Words of the input at binding 0 and of the output at binding 1. */
  readonly inputWords: number
  readonly outputWords: number
}

const IO = `@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
`

/** @param size of the square matrices, a multiple of 16 */
export function matmul(size: number): SampleKernel {
  const wgsl = `${IO}
const SIZE = ${size}u;
@compute @workgroup_size(8, 8) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  var sum = 0.0;
  for (var k = 0u; k < SIZE; k++) { sum += a[id.y * SIZE + k] * a[k * SIZE + id.x]; }
  out[id.y * SIZE + id.x] = sum;
}`
  const words = size * size
  return { wgsl, workgroups: [size / 8, size / 8, 1], inputWords: words, outputWords: words }
}

/** Uses workgroup memory, with barriers in the loop. */
export function tiledMatmul(size: number): SampleKernel {
  const wgsl = `${IO}
const SIZE = ${size}u;
var<workgroup> left: array<array<f32, 8>, 8>;
var<workgroup> right: array<array<f32, 8>, 8>;
@compute @workgroup_size(8, 8) fn main(
  @builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_id) at: vec3<u32>,
) {
  var sum = 0.0;
  for (var tile = 0u; tile < SIZE / 8u; tile++) {
    left[at.y][at.x] = a[id.y * SIZE + tile * 8u + at.x];
    right[at.y][at.x] = a[(tile * 8u + at.y) * SIZE + id.x];
    workgroupBarrier();
    for (var k = 0u; k < 8u; k++) { sum += left[at.y][k] * right[k][at.x]; }
    workgroupBarrier();
  }
  out[id.y * SIZE + id.x] = sum;
}`
  return { ...matmul(size), wgsl }
}

/** A radix-2 transform of each row of 256 complex numbers, in workgroup memory. */
export function fourier(rows: number): SampleKernel {
  const wgsl = `${IO}
var<workgroup> re: array<f32, 256>;
var<workgroup> im: array<f32, 256>;
@compute @workgroup_size(128) fn main(
  @builtin(workgroup_id) row: vec3<u32>, @builtin(local_invocation_index) lane: u32,
) {
  for (var half = 0u; half < 2u; half++) {
    let i = lane + half * 128u;
    let first = row.x * 512u + 2u * (reverseBits(i) >> 24u);
    re[i] = a[first];
    im[i] = a[first + 1u];
  }
  workgroupBarrier();
  for (var size = 1u; size < 256u; size *= 2u) {
    let at = (lane / size) * size * 2u + lane % size;
    let angle = -3.14159265 * f32(lane % size) / f32(size);
    let c = cos(angle);
    let s = sin(angle);
    let other = at + size;
    let tre = re[other] * c - im[other] * s;
    let tim = re[other] * s + im[other] * c;
    re[other] = re[at] - tre;
    im[other] = im[at] - tim;
    re[at] += tre;
    im[at] += tim;
    workgroupBarrier();
  }
  for (var half = 0u; half < 2u; half++) {
    let i = lane + half * 128u;
    out[row.x * 512u + 2u * i] = re[i];
    out[row.x * 512u + 2u * i + 1u] = im[i];
  }
}`
  return { wgsl, workgroups: [rows, 1, 1], inputWords: rows * 512, outputWords: rows * 512 }
}

/** One step of gravity between bodies, every one with every other. @param count a multiple of 64 */
export function bodies(count: number): SampleKernel {
  const wgsl = `@group(0) @binding(0) var<storage, read> body: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> pull: array<vec4<f32>>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let here = body[id.x].xyz;
  var sum = vec3<f32>();
  for (var i = 0u; i < arrayLength(&body); i++) {
    let d = body[i].xyz - here;
    let r2 = dot(d, d) + 0.01;
    sum += d * (body[i].w / (r2 * sqrt(r2)));
  }
  pull[id.x] = vec4<f32>(sum, 0.0);
}`
  const words = count * 4
  return { wgsl, workgroups: [count / 64, 1, 1], inputWords: words, outputWords: words }
}

/** The number of turns differs from thread to thread. */
export function mandelbrot(width: number): SampleKernel {
  const wgsl = `${IO}
fn escapes(c: vec2<f32>) -> u32 {
  var z = vec2<f32>();
  for (var i = 0u; i < 200u; i++) {
    if (dot(z, z) > 4.0) { return i; }
    z = vec2(z.x * z.x - z.y * z.y, 2.0 * z.x * z.y) + c;
  }
  return 200u;
}
@compute @workgroup_size(8, 8) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let c = vec2<f32>(id.xy) / ${width}.0 * 3.0 - vec2(2.25, 1.5);
  out[id.y * ${width}u + id.x] = f32(escapes(c)) + a[0];
}`
  const groups = width / 8
  return { wgsl, workgroups: [groups, groups, 1], inputWords: 4, outputWords: width * width }
}

/** An insertion sort of 16 words for each thread, with while, continue, break-if and private memory. */
export function sorting(threads: number): SampleKernel {
  const wgsl = `${IO}
var<private> own: array<f32, 16>;
@compute @workgroup_size(32) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let base = id.x * 16u;
  var n = 0u;
  loop {
    own[n] = a[base + n];
    continuing { n++; break if n == 16u; }
  }
  for (var i = 1u; i < 16u; i++) {
    var j = i;
    while j > 0u && own[j - 1u] > own[j] {
      let swap = own[j];
      own[j] = own[j - 1u];
      own[j - 1u] = swap;
      j--;
    }
    if i % 2u == 0u { continue; }
  }
  for (var i = 0u; i < 16u; i++) { out[base + i] = own[i]; }
}`
  const words = threads * 16
  return { wgsl, workgroups: [threads / 32, 1, 1], inputWords: words, outputWords: words }
}

export const SAMPLES: Readonly<Record<string, SampleKernel>> = {
  matmul: matmul(64),
  'tiled matmul': tiledMatmul(64),
  fourier: fourier(8),
  bodies: bodies(256),
  mandelbrot: mandelbrot(64),
  sorting: sorting(256),
}
