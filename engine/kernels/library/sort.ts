/** `sort@1`: a stable radix sort of four bits a pass. Each thread counts and places its own segment; no barriers. */
import { LINEAR_MAIN, threadGroups, type LibraryKernel, type Pass } from './kernel.ts'
import { planScan, SCAN_SOURCES } from './scan.ts'

const SEGMENT = 64
const DIGITS = 16
const BITS = 4
const KEY_BITS = 32

const HEAD = `struct P { n: u32, segments: u32, shift: u32, kind: u32, flip: u32 }
@group(0) @binding(0) var<uniform> p: P;
`

/** Words whose unsigned order is that of the keys: floats by sign and magnitude, integers with a flipped sign bit. */
const ENCODE = `${HEAD}
@group(0) @binding(1) var<storage, read> keys: array<u32>;
@group(0) @binding(2) var<storage, read_write> words: array<u32>;
@group(0) @binding(3) var<storage, read_write> order: array<u32>;
${LINEAR_MAIN}
  if (i >= p.n) { return; }
  var word = keys[i];
  if (p.kind == 1u) { word ^= 0x80000000u; }
  if (p.kind == 2u) { word ^= select(0x80000000u, 0xffffffffu, word >= 0x80000000u); }
  words[i] = word ^ p.flip;
  order[i] = i;
}
`

const DECODE = `${HEAD}
@group(0) @binding(1) var<storage, read> words: array<u32>;
@group(0) @binding(2) var<storage, read_write> keys: array<u32>;
${LINEAR_MAIN}
  if (i >= p.n) { return; }
  var word = words[i] ^ p.flip;
  if (p.kind == 1u) { word ^= 0x80000000u; }
  if (p.kind == 2u) { word ^= select(0xffffffffu, 0x80000000u, word >= 0x80000000u); }
  keys[i] = word;
}
`

const COUNT = `${HEAD}
@group(0) @binding(1) var<storage, read> words: array<u32>;
@group(0) @binding(2) var<storage, read_write> counts: array<u32>;
${LINEAR_MAIN}
  if (i >= p.segments) { return; }
  var mine: array<u32, ${DIGITS}>;
  let end = min(p.n, (i + 1u) * ${SEGMENT}u);
  for (var at = i * ${SEGMENT}u; at < end; at++) { mine[(words[at] >> p.shift) & ${DIGITS - 1}u] += 1u; }
  for (var digit = 0u; digit < ${DIGITS}u; digit++) { counts[digit * p.segments + i] = mine[digit]; }
}
`

const PLACE = `${HEAD}
@group(0) @binding(1) var<storage, read> words: array<u32>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read> starts: array<u32>;
@group(0) @binding(4) var<storage, read_write> wordsOut: array<u32>;
@group(0) @binding(5) var<storage, read_write> orderOut: array<u32>;
${LINEAR_MAIN}
  if (i >= p.segments) { return; }
  var next: array<u32, ${DIGITS}>;
  for (var digit = 0u; digit < ${DIGITS}u; digit++) { next[digit] = starts[digit * p.segments + i]; }
  let end = min(p.n, (i + 1u) * ${SEGMENT}u);
  for (var at = i * ${SEGMENT}u; at < end; at++) {
    let word = words[at];
    let digit = (word >> p.shift) & ${DIGITS - 1}u;
    let to = next[digit];
    next[digit] = to + 1u;
    wordsOut[to] = word;
    orderOut[to] = order[at];
  }
}
`

const TYPE_WORDS: Readonly<Record<string, number>> = { UINT32: 0, INT32: 1, FP32: 2 }

export const SORT: LibraryKernel = {
  name: 'sort@1',
  sources: {
    encode: ENCODE,
    count: COUNT,
    place: PLACE,
    decode: DECODE,
    'up-u32': SCAN_SOURCES['up-u32'],
    'down-u32': SCAN_SOURCES['down-u32'],
    'only-u32': SCAN_SOURCES['only-u32'],
  },
  variants: { software: ['segments'], hardware: ['segments'] },
  plan({ inputs, params }) {
    const n = inputs[0]?.shape[0] ?? 1
    const segments = Math.ceil(n / SEGMENT)
    const words = (shift: number) => [
      n,
      segments,
      shift,
      TYPE_WORDS[inputs[0]?.datatype ?? 'FP32'] ?? 0,
      params.descending === true ? 0xffffffff : 0,
    ]
    // The number of passes is even, so that the order ends in its first buffer.
    const names = [
      ['wordsA', 'order'],
      ['wordsB', 'orderB'],
    ] as const
    const scan = planScan({
      from: 'counts',
      to: 'starts',
      type: 'u32',
      rows: 1,
      length: DIGITS * segments,
      isExclusive: true,
    })
    const passes: Pass[] = [
      {
        source: 'encode',
        buffers: ['keys', 'wordsA', 'order'],
        words: words(0),
        workgroups: threadGroups(n),
      },
    ]
    for (let shift = 0; shift < KEY_BITS; shift += BITS) {
      const turn = (shift / BITS) % 2
      const [from, to] = turn === 0 ? names : [names[1], names[0]]
      const workgroups = threadGroups(segments)
      passes.push(
        { source: 'count', buffers: [from[0], 'counts'], words: words(shift), workgroups },
        ...scan.passes,
        { source: 'place', buffers: [...from, 'starts', ...to], words: words(shift), workgroups },
      )
    }
    passes.push({
      source: 'decode',
      buffers: ['wordsA', 'sorted'],
      words: words(0),
      workgroups: threadGroups(n),
    })
    const countBytes = DIGITS * segments * 4
    return {
      scratch: {
        wordsA: n * 4,
        wordsB: n * 4,
        orderB: n * 4,
        counts: countBytes,
        starts: countBytes,
        ...scan.scratch,
      },
      passes,
    }
  },
}
