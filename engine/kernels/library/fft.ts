/** `fft@1`: Stockham's transform in radix 8 with one smaller pass. Phases come from a table in double precision. */
import type { ResolvedJob } from '#shared/kernels/kernels.ts'
import { floatWord, LINEAR_MAIN, threadGroups, type LibraryKernel, type Pass } from './kernel.ts'

const RADICES = [1, 2, 4, 8] as const
type Radix = (typeof RADICES)[number]

/** Complex product, and a product with ±i by the direction of the transform. */
const ARITHMETIC = `fn times(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
  return vec2(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}
fn quarter(a: vec2<f32>) -> vec2<f32> { return vec2(-a.y, a.x) * p.sign; }
`

function butterfly(radix: Radix): string {
  const four = (out: readonly string[], [a, b, c, d]: readonly string[], tag: string) => `
  let s0${tag} = ${a} + ${c};
  let s1${tag} = ${a} - ${c};
  let s2${tag} = ${b} + ${d};
  let s3${tag} = quarter(${b} - ${d});
  let ${out[0]} = s0${tag} + s2${tag};
  let ${out[1]} = s1${tag} + s3${tag};
  let ${out[2]} = s0${tag} - s2${tag};
  let ${out[3]} = s1${tag} - s3${tag};`
  if (radix === 1) return 'let r0 = v0;'
  if (radix === 2) return 'let r0 = v0 + v1;\n  let r1 = v0 - v1;'
  if (radix === 4) return four(['r0', 'r1', 'r2', 'r3'], ['v0', 'v1', 'v2', 'v3'], '')
  return `${four(['e0', 'e1', 'e2', 'e3'], ['v0', 'v2', 'v4', 'v6'], 'a')}
${four(['o0', 'o1', 'o2', 'o3'], ['v1', 'v3', 'v5', 'v7'], 'b')}
  let t1 = (o1 + quarter(o1)) * 0.70710678118654752;
  let t2 = quarter(o2);
  let t3 = (quarter(o3) - o3) * 0.70710678118654752;
  let r0 = e0 + o0;
  let r1 = e1 + t1;
  let r2 = e2 + t2;
  let r3 = e3 + t3;
  let r4 = e0 - o0;
  let r5 = e1 - t1;
  let r6 = e2 - t2;
  let r7 = e3 - t3;`
}

/** Writes powers of w1 as products, at most three deep. */
function powers(radix: Radix): string {
  const steps: Readonly<Record<number, string>> = {
    2: 'times(w1, w1)',
    3: 'times(w2, w1)',
    4: 'times(w2, w2)',
    5: 'times(w3, w2)',
    6: 'times(w3, w3)',
    7: 'times(w4, w3)',
  }
  return Array.from(
    { length: Math.max(0, radix - 2) },
    (_, i) => `let w${i + 2} = ${steps[i + 2]};`,
  ).join('\n  ')
}

/** Writes one pass. The first needs no phases and may read real numbers. */
function source(radix: Radix, kind: 'real' | 'complex' | 'later'): string {
  const many = Array.from({ length: radix }, (_, q) => q)
  const isLater = kind === 'later'
  const read = (q: number) => {
    const place = `x[origin + ${q}u * lanes]`
    if (kind === 'real') return `vec2(${place}, 0.0)`
    return isLater && q > 0 ? `times(${place}, w${q})` : place
  }
  return `struct P { n: u32, batch: u32, span: u32, kept: u32, sign: f32, scale: f32 }
@group(0) @binding(0) var<uniform> p: P;
@group(0) @binding(1) var<storage, read> x: array<${kind === 'real' ? 'f32' : 'vec2<f32>'}>;
@group(0) @binding(2) var<storage, read_write> y: array<vec2<f32>>;
${isLater ? '@group(0) @binding(3) var<storage, read> table: array<vec2<f32>>;' : ''}
${ARITHMETIC}
${LINEAR_MAIN}
  let lanes = p.n / ${radix}u;
  if (i >= p.batch * lanes) { return; }
  let row = i / lanes;
  let lane = i % lanes;
  let within = lane % p.span;
  let origin = row * p.n + lane;
  ${isLater ? `let root = table[within * (lanes / p.span)];\n  let w1 = vec2(root.x, root.y * p.sign);` : ''}
  ${isLater ? powers(radix) : ''}
  ${many.map((q) => `let v${q} = ${read(q)};`).join('\n  ')}
  ${butterfly(radix)}
  let to = (lane / p.span) * p.span * ${radix}u + within;
  let out = row * p.kept;
  ${many.map((q) => `if (to + ${q}u * p.span < p.kept) { y[out + to + ${q}u * p.span] = r${q} * p.scale; }`).join('\n  ')}
}
`
}

function sources(): Record<string, string> {
  const all: Record<string, string> = {}
  for (const radix of RADICES)
    for (const kind of ['real', 'complex', 'later'] as const)
      if (radix > 1 || kind !== 'later') all[`${kind}-${radix}`] = source(radix, kind)
  return all
}

/** Plans passes of eight; the smaller pass is first, where no phases are needed. */
function radicesOf(n: number): Radix[] {
  const bits = Math.log2(n)
  const eights = Array.from({ length: Math.floor(bits / 3) }, () => 8 as const)
  const first: Radix[] = bits % 3 === 0 ? [] : [bits % 3 === 1 ? 2 : 4]
  return n === 1 ? [1] : [...first, ...eights]
}

/** Computes exp(i·2π·k/n) as re, im, for all k below n. */
function phases(n: number): Float32Array<ArrayBuffer> {
  const table = new Float32Array(2 * n)
  for (let k = 0; k < n; k += 1) {
    table[2 * k] = Math.cos((2 * Math.PI * k) / n)
    table[2 * k + 1] = Math.sin((2 * Math.PI * k) / n)
  }
  return table
}

export function transformOf({ inputs, params }: ResolvedJob) {
  const shape = inputs[0]?.shape ?? []
  const isReal = params.input === 'real'
  const n = shape[shape.length - (isReal ? 1 : 2)] ?? 1
  const batch = shape.reduce((product, size) => product * size, 1) / n / (isReal ? 1 : 2)
  return { n, batch, isReal, isInverse: params.inverse === true }
}

export const FFT: LibraryKernel = {
  name: 'fft@1',
  sources: sources(),
  variants: { software: ['stockham'], hardware: ['stockham'] },
  plan(job) {
    const { n, batch, isReal, isInverse } = transformOf(job)
    const radices = radicesOf(n)
    const passes: Pass[] = []
    let span = 1
    for (const [index, radix] of radices.entries()) {
      const isLast = index === radices.length - 1
      const kind = index > 0 ? 'later' : isReal ? 'real' : 'complex'
      const buffers = [
        index === 0 ? 'x' : `half${(index - 1) % 2}`,
        isLast ? 'y' : `half${index % 2}`,
        ...(kind === 'later' ? ['phases'] : []),
      ]
      const kept = isLast && isReal ? Math.floor(n / 2) + 1 : n
      const scale = floatWord(isLast && isInverse ? 1 / n : 1)
      passes.push({
        source: `${kind}-${radix}`,
        buffers,
        words: [n, batch, span, kept, floatWord(isInverse ? 1 : -1), scale],
        workgroups: threadGroups((batch * n) / radix),
      })
      span *= radix
    }
    const bytes = batch * n * 8
    const halves = radices.length < 2 ? [] : radices.length === 2 ? ['half0'] : ['half0', 'half1']
    return {
      scratch: Object.fromEntries(halves.map((name) => [name, bytes])),
      tables: radices.length < 2 ? {} : { phases: { key: `phases-${n}`, make: () => phases(n) } },
      passes,
    }
  },
}
