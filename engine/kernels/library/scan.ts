/** `scan@1`: sums of chunks go up level by level, running sums come down. One thread a chunk, no barriers. */
import { LINEAR_MAIN, rowsOf, threadGroups, type LibraryKernel, type Pass } from './kernel.ts'

export const CHUNK = 64

function bindings(type: string, reads: readonly string[], writes: string): string {
  const names = [
    ...reads.map((name) => `<storage, read> ${name}`),
    `<storage, read_write> ${writes}`,
  ]
  return `struct P { rows: u32, length: u32, chunks: u32, exclusive: u32 }
@group(0) @binding(0) var<uniform> p: P;
${names.map((name, i) => `@group(0) @binding(${i + 1}) var${name}: array<${type}>;`).join('\n')}
`
}

function upSource(type: string): string {
  return `${bindings(type, ['x'], 'sums')}
${LINEAR_MAIN}
  if (i >= p.rows * p.chunks) { return; }
  let row = i / p.chunks;
  let start = row * p.length + (i % p.chunks) * ${CHUNK}u;
  let end = min(start + ${CHUNK}u, (row + 1u) * p.length);
  var sum = x[start];
  for (var at = start + 1u; at < end; at++) { sum += x[at]; }
  sums[i] = sum;
}
`
}

/** `before` holds the sum of all previous chunks of the row. Without it a row has one chunk. */
function downSource(type: string, hasBefore: boolean): string {
  return `${bindings(type, hasBefore ? ['x', 'before'] : ['x'], 'y')}
${LINEAR_MAIN}
  if (i >= p.rows * p.chunks) { return; }
  let row = i / p.chunks;
  let start = row * p.length + (i % p.chunks) * ${CHUNK}u;
  let end = min(start + ${CHUNK}u, (row + 1u) * p.length);
  var sum = ${hasBefore ? 'before[i]' : `${type}(0)`};
  for (var at = start; at < end; at++) {
    let value = x[at];
    let next = sum + value;
    y[at] = select(next, sum, p.exclusive != 0u);
    sum = next;
  }
}
`
}

/** WGSL that other kernels use too. Unsigned sums have the bits of signed ones. */
export const SCAN_SOURCES = {
  'up-f32': upSource('f32'),
  'up-u32': upSource('u32'),
  'down-f32': downSource('f32', true),
  'down-u32': downSource('u32', true),
  'only-f32': downSource('f32', false),
  'only-u32': downSource('u32', false),
} as const

export interface ScanOptions {
  readonly from: string
  readonly to: string
  readonly type: 'f32' | 'u32'
  readonly rows: number
  readonly length: number
  readonly isExclusive: boolean
}

/** Plans the passes of one scan and their scratch; each name begins with `to`. */
export function planScan(options: ScanOptions): {
  passes: Pass[]
  scratch: Record<string, number>
} {
  const { from, to, type, rows, length, isExclusive } = options
  const chunks = Math.ceil(length / CHUNK)
  const words = [rows, length, chunks, Number(isExclusive)]
  const workgroups = threadGroups(rows * chunks)
  if (chunks === 1)
    return {
      passes: [{ source: `only-${type}`, buffers: [from, to], words, workgroups }],
      scratch: {},
    }
  const sums = `${to}+`
  const before = `${to}-`
  const inner = planScan({ ...options, from: sums, to: before, length: chunks, isExclusive: true })
  const bytes = rows * chunks * 4
  return {
    passes: [
      { source: `up-${type}`, buffers: [from, sums], words, workgroups },
      ...inner.passes,
      { source: `down-${type}`, buffers: [from, before, to], words, workgroups },
    ],
    scratch: { [sums]: bytes, [before]: bytes, ...inner.scratch },
  }
}

export const SCAN: LibraryKernel = {
  name: 'scan@1',
  sources: SCAN_SOURCES,
  variants: { software: ['chunks'], hardware: ['chunks'] },
  plan({ inputs, params }) {
    const [x] = inputs
    const { rows, length } = rowsOf(x?.shape ?? [])
    const type = x?.datatype === 'FP32' ? 'f32' : 'u32'
    const isExclusive = params.exclusive === true
    return planScan({ from: 'x', to: 'y', type, rows, length, isExclusive })
  },
}
