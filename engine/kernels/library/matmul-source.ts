/** WGSL of `matmul@1`: two ways to multiply padded FP32 matrices, and copies that pad, widen and narrow. */

const BINDINGS = `struct P { m: u32, n4: u32, k4: u32 }
@group(0) @binding(0) var<uniform> p: P;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> c: array<vec4<f32>>;
`

function list(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i)
}

/** Threads of the register kernel along x (columns) and y (rows). */
export const REGISTER_GROUP = [8, 8] as const

/** Each thread keeps `rows` × `columns`·4 results in registers and reads memory directly: best where caches are ordinary memory. */
export function registerSource(rows: number, columns: number): string {
  const [rs, cs] = [list(rows), list(columns)]
  const lines = (of: readonly number[], line: (i: number) => string) => of.map(line).join('\n    ')
  const cells = (line: (r: number, c: number) => string) =>
    rs.flatMap((r) => cs.map((c) => line(r, c))).join('\n    ')
  const step = (k: number) => `
    ${lines(cs, (c) => `let w${k}_${c} = b[at + ${c}u];`)}
    at += p.n4;`
  return `${BINDINGS}
@compute @workgroup_size(${REGISTER_GROUP.join(', ')})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let row = id.y * ${rows}u;
  let column = id.x * ${columns}u;
  if (row >= p.m || column >= p.n4) { return; }
  let origin = id.z * p.m;
  ${lines(rs, (r) => `let a${r} = (origin + min(row + ${r}u, p.m - 1u)) * p.k4;`)}
  ${cells((r, c) => `var s${r}_${c} = vec4<f32>();`)}
  var at = id.z * p.k4 * 4u * p.n4 + column;
  for (var k = 0u; k < p.k4; k++) {
    ${lines(rs, (r) => `let x${r} = a[a${r} + k];`)}
    ${list(4).map(step).join('')}
    ${cells((r, c) => `s${r}_${c} += x${r}.x * w0_${c} + x${r}.y * w1_${c} + (x${r}.z * w2_${c} + x${r}.w * w3_${c});`)}
  }
  ${cells((r, c) => `if (row + ${r}u < p.m && column + ${c}u < p.n4) { c[(origin + row + ${r}u) * p.n4 + column + ${c}u] = s${r}_${c}; }`)}
}
`
}

/** Rows and columns of results of one workgroup of the tile kernel. */
export const TILE = 64

/** 16 × 16 threads share tiles of 64 × 16 and 16 × 64; each thread computes 4 × 4 results. */
export const TILE_SOURCE = `${BINDINGS}
var<workgroup> tileA: array<vec4<f32>, 256>;
var<workgroup> tileB: array<vec4<f32>, 256>;
@compute @workgroup_size(16, 16)
fn main(
  @builtin(local_invocation_id) local: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3<u32>,
) {
  let origin = group.z * p.m;
  let k = p.k4 * 4u;
  let originB = group.z * k;
  let rowA = group.y * ${TILE}u + lane / 4u;
  let columnB = group.x * 16u + lane % 16u;
  ${list(4)
    .map((r) => `var s${r} = vec4<f32>();`)
    .join('\n  ')}
  for (var block = 0u; block < p.k4; block += 4u) {
    let kA = block + lane % 4u;
    let kB = block * 4u + lane / 16u;
    var partA = vec4<f32>();
    var partB = vec4<f32>();
    if (rowA < p.m && kA < p.k4) { partA = a[(origin + rowA) * p.k4 + kA]; }
    if (kB < k && columnB < p.n4) { partB = b[(originB + kB) * p.n4 + columnB]; }
    tileA[lane] = partA;
    tileB[lane] = partB;
    workgroupBarrier();
    ${list(4)
      .map(
        (q) => `{
      ${list(4)
        .map((r) => `let x${r} = tileA[(local.y * 4u + ${r}u) * 4u + ${q}u];`)
        .join('\n      ')}
      ${list(4)
        .map((j) => `let w${j} = tileB[${q * 4 + j}u * 16u + local.x];`)
        .join('\n      ')}
      ${list(4)
        .map((r) => `s${r} += x${r}.x * w0 + x${r}.y * w1 + (x${r}.z * w2 + x${r}.w * w3);`)
        .join('\n      ')}
    }`,
      )
      .join('\n    ')}
    workgroupBarrier();
  }
  let row = group.y * ${TILE}u + local.y * 4u;
  let column = group.x * 16u + local.x;
  if (column >= p.n4) { return; }
  ${list(4)
    .map((r) => `if (row + ${r}u < p.m) { c[(origin + row + ${r}u) * p.n4 + column] = s${r}; }`)
    .join('\n  ')}
}
`

const COPY_BINDINGS = (
  from: string,
  to: string,
) => `struct P { count: u32, fromColumns: u32, toColumns: u32, fromRows: u32, toRows: u32 }
@group(0) @binding(0) var<uniform> p: P;
@group(0) @binding(1) var<storage, read> x: array<${from}>;
@group(0) @binding(2) var<storage, read_write> y: array<${to}>;
`

/** Copies matrices into larger or smaller ones; cells without a source are zero. */
function copySource(from: 'f32' | 'f16', linearMain: string): string {
  const read = from === 'f32' ? 'x[at]' : 'unpack2x16float(x[at / 2u])[at % 2u]'
  return `${COPY_BINDINGS(from === 'f32' ? 'f32' : 'u32', 'f32')}
${linearMain}
  if (i >= p.count) { return; }
  let column = i % p.toColumns;
  let row = (i / p.toColumns) % p.toRows;
  let at = ((i / p.toColumns / p.toRows) * p.fromRows + row) * p.fromColumns + column;
  if (column < p.fromColumns && row < p.fromRows) { y[i] = ${read}; } else { y[i] = 0.0; }
}
`
}

/** Packs two results into each word. A value that FP16 cannot hold becomes infinity, which the host detects. */
function narrowSource(linearMain: string): string {
  return `${COPY_BINDINGS('f32', 'u32')}
fn half(i: u32) -> u32 {
  let value = x[(i / p.toColumns) * p.fromColumns + i % p.toColumns];
  if (abs(value) >= 65520.0) { return 0x7c00u; }
  return pack2x16float(vec2(value, 0.0)) & 0xffffu;
}
${linearMain}
  if (i * 2u >= p.count) { return; }
  var both = half(i * 2u);
  if (i * 2u + 1u < p.count) { both |= half(i * 2u + 1u) << 16u; }
  y[i] = both;
}
`
}

export function copySources(linearMain: string) {
  return {
    copy: copySource('f32', linearMain),
    widen: copySource('f16', linearMain),
    narrow: narrowSource(linearMain),
  }
}
