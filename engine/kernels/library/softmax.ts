/** `softmax@1`: a thread or a workgroup for each row, or threads for segments where rows are few. */
import { LINEAR_MAIN, rowsOf, threadGroups, type LibraryKernel, type Plan } from './kernel.ts'
import { planReduce, REDUCE_SOURCES } from './reduce.ts'

/** With fewer rows, one thread or workgroup a row leaves a device idle. */
const FEW_ROWS = 64
const GROUP = 256

const BINDINGS = `struct P { rows: u32, length: u32 }
@group(0) @binding(0) var<uniform> p: P;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
`

const THREAD_A_ROW = `${BINDINGS}
${LINEAR_MAIN}
  if (i >= p.rows) { return; }
  let start = i * p.length;
  let end = start + p.length;
  let blocks = start + (p.length / 4u) * 4u;
  var most = x[start];
  for (var at = start; at < blocks; at += 4u) {
    most = max(most, max(max(x[at], x[at + 1u]), max(x[at + 2u], x[at + 3u])));
  }
  for (var at = blocks; at < end; at++) { most = max(most, x[at]); }
  var sum = 0.0;
  for (var at = start; at < blocks; at += 4u) {
    let e = exp(vec4(x[at], x[at + 1u], x[at + 2u], x[at + 3u]) - most);
    y[at] = e.x;
    y[at + 1u] = e.y;
    y[at + 2u] = e.z;
    y[at + 3u] = e.w;
    sum += (e.x + e.y) + (e.z + e.w);
  }
  for (var at = blocks; at < end; at++) {
    let e = exp(x[at] - most);
    y[at] = e;
    sum += e;
  }
  let part = 1.0 / sum;
  for (var at = start; at < blocks; at += 4u) {
    y[at] *= part;
    y[at + 1u] *= part;
    y[at + 2u] *= part;
    y[at + 3u] *= part;
  }
  for (var at = blocks; at < end; at++) { y[at] *= part; }
}
`

const GROUP_A_ROW = `${BINDINGS}
var<workgroup> partial: array<f32, ${GROUP}>;
@compute @workgroup_size(${GROUP})
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
) {
  let row = group.y * groups.x + group.x;
  if (row >= p.rows) { return; }
  let start = row * p.length;
  let end = start + p.length;
  var most = x[start];
  for (var at = start + lane; at < end; at += ${GROUP}u) { most = max(most, x[at]); }
  partial[lane] = most;
  for (var half = ${GROUP / 2}u; half > 0u; half >>= 1u) {
    workgroupBarrier();
    if (lane < half) { partial[lane] = max(partial[lane], partial[lane + half]); }
  }
  workgroupBarrier();
  most = partial[0];
  workgroupBarrier();
  var sum = 0.0;
  for (var at = start + lane; at < end; at += ${GROUP}u) {
    let e = exp(x[at] - most);
    y[at] = e;
    sum += e;
  }
  partial[lane] = sum;
  for (var half = ${GROUP / 2}u; half > 0u; half >>= 1u) {
    workgroupBarrier();
    if (lane < half) { partial[lane] += partial[lane + half]; }
  }
  workgroupBarrier();
  let part = 1.0 / partial[0];
  for (var at = start + lane; at < end; at += ${GROUP}u) { y[at] *= part; }
}
`

/** Applies a value of the row to each of its elements. */
function spreadSource(value: string): string {
  return `struct P { length: u32, count: u32 }
@group(0) @binding(0) var<uniform> p: P;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> whole: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
${LINEAR_MAIN}
  if (i >= p.count) { return; }
  let row = whole[i / p.length];
  y[i] = ${value};
}
`
}

/** Plans maximum, powers, sum and quotients of each row, each as a pass over segments of many threads. */
function planSegments(rows: number, length: number): Plan {
  const count = rows * length
  const spread = (source: string, buffers: readonly string[]) => ({
    source,
    buffers,
    words: [length, count],
    workgroups: threadGroups(count),
  })
  const most = planReduce({ from: 'x', to: 'most', source: 'max', rows, length, scale: 1 })
  const sum = planReduce({ from: 'powers', to: 'sum', source: 'sum', rows, length, scale: 1 })
  return {
    scratch: { ...most.scratch, ...sum.scratch, most: rows * 4, sum: rows * 4, powers: count * 4 },
    passes: [
      ...most.passes,
      spread('powers', ['x', 'most', 'powers']),
      ...sum.passes,
      spread('parts', ['powers', 'sum', 'y']),
    ],
  }
}

export const SOFTMAX: LibraryKernel = {
  name: 'softmax@1',
  sources: {
    thread: THREAD_A_ROW,
    group: GROUP_A_ROW,
    powers: spreadSource('exp(x[i] - row)'),
    parts: spreadSource('x[i] / row'),
    max: REDUCE_SOURCES.max,
    sum: REDUCE_SOURCES.sum,
  },
  variants: { software: ['thread'], hardware: ['group', 'thread'] },
  trial: () => [{ name: 'x', shape: [1024, 1024] }],
  plan({ inputs }, variant) {
    const { rows, length } = rowsOf(inputs[0]?.shape ?? [])
    if (rows < FEW_ROWS) return planSegments(rows, length)
    const across = Math.min(rows, 32_768)
    const workgroups: [number, number, number] =
      variant === 'thread' ? threadGroups(rows) : [across, Math.ceil(rows / across), 1]
    const pass = { source: variant, buffers: ['x', 'y'], words: [rows, length], workgroups }
    return { passes: [pass] }
  },
}
