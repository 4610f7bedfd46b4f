/** Kernels that attack the parser, the compiler or the device. */

const OUT = '@group(0) @binding(0) var<storage, read_write> o: array<u32>;\n'
const ATOMIC = '@group(0) @binding(0) var<storage, read_write> o: array<atomic<u32>>;\n'

function main(body: string, before = '', threads = 64): string {
  return `${before}${OUT}@compute @workgroup_size(${threads}) fn main(@builtin(global_invocation_id) id: vec3<u32>) { ${body} }`
}

const repeat = (count: number, text: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => text(i)).join('')

/** Refused before a compiler sees them. */
export const HOSTILE_TO_READ: Readonly<Record<string, string>> = {
  'calls that fan out': main(
    'o[0] = f11(1u);',
    `fn f0(x: u32) -> u32 { return x * 3u + 1u; }\n${repeat(11, (i) => `fn f${i + 1}(x: u32) -> u32 { return f${i}(x) + f${i}(x + 1u) * f${i}(x + 2u) - f${i}(x + 3u); }\n`)}`,
  ),
  'structs that double': main(
    'var s: S24; o[0] = s.a.a.a.x;',
    `struct S0 { x: u32 }\n${repeat(24, (i) => `struct S${i + 1} { a: S${i}, b: S${i} }\n`)}`,
  ),
  'an array of arrays of arrays': main(
    'var s: array<array<array<u32, 1000>, 1000>, 1000>; o[0] = s[id.x][0][0];',
  ),
  'constants that double': main(
    `o[0] = c14${'[0]'.repeat(14)}[id.x];`,
    `const c0 = array(1u, 2u);\n${repeat(14, (i) => `const c${i + 1} = array(c${i}, c${i});\n`)}`,
  ),
  'private memory': main('big[id.x] = 1u; o[0] = big[3];', 'var<private> big: array<u32, 100000>;'),
  'a size that is computed in a roundabout way': main(
    'var s: array<u32, select(1000000, 2, false)>; o[0] = s[id.x];',
  ),
  parentheses: main(`o[0] = ${'('.repeat(5_000)}1u${')'.repeat(5_000)};`),
  negations: main(`o[0] = u32(${'- '.repeat(5_000)}1);`),
  blocks: main(`${'{'.repeat(2_000)}${'}'.repeat(2_000)}`),
  'a chain of else': main(repeat(1_000, (i) => `if o[0] == ${i}u { o[1] = ${i}u; } else `) + '{}'),
  'a chain of sums': main(`o[0] = 1u${' + o[1]'.repeat(4_000)};`),
  'a chain of members': main(`o[0] = v${'.xy'.repeat(4_000)}.x;`, 'var<private> v: vec2<u32>;'),
  'template lists': main(`var s: ${'array<'.repeat(3_000)}u32${', 1>'.repeat(3_000)};`),
  tokens: main(`o[0] = 1u;${';'.repeat(30_000)}`),
  statements: main('o[0] = 1u;'.repeat(2_001)),
  functions: main(
    'o[0] = 1u;',
    repeat(129, (i) => `fn f${i}() {}\n`),
  ),
  'a chain of else in a loop': main(
    `for (var i = 0u; i < 9u; i++) { ${repeat(110, (i) => `if o[${i}] > i { o[${i}] += 1u; } else `)} {} }`,
  ),
  'a comment without an end': main('/* /* */ o[0] = 1u;'),
  'a function that calls itself': main(
    'o[0] = f(1u);',
    'fn f(x: u32) -> u32 { return g(x); } fn g(x: u32) -> u32 { return f(x); }',
  ),
  'a long chain of aliases': main(
    'var x: A200; o[0] = x;',
    `alias A0 = u32;\n${repeat(200, (i) => `alias A${i + 1} = A${i};\n`)}`,
  ),
  'a storage buffer read as one value': `@group(0) @binding(0) var<storage, read_write> o: array<array<u32, 100000>, 2>;
@compute @workgroup_size(1) fn main() { let all = o[0]; o[1] = all; }`,
  'another meaning of a name that the budget needs': main('loop { }', 'alias u32 = f32;'),
  nothing: '',
  'a null character': main('o[0] = 1u;\0'),
  'half a surrogate': main('let \ud800 = 1u;'),
  'loops beside barriers': main(
    `${repeat(70, () => 'for (var i = 0u; i < 2u; i++) { workgroupBarrier(); }')}`,
  ),
}

/** Compiled, then stopped by their budget: they would run for years or for ever. */
export const HOSTILE_TO_RUN: Readonly<Record<string, string>> = {
  'names that the meter would like': main(
    'loop { if o[0] == 7u { break; } o[0] += 1u; }',
    repeat(1_500, (i) => `alias littoral${i}_left = u32;\n`),
  ),
  'an endless loop': main('loop { if o[0] == 7u { break; } o[0] = 1u; }'),
  'an endless while': main('while true { o[id.x] += 1u; }'),
  'an endless for': main('for (; o[5] < 9u; ) { o[id.x % 4u] ^= id.x; }'),
  'a counter that goes back': main('for (var i = 0u; i < 10u; i++) { i -= 1u; o[0] = i; }'),
  'a continue that skips the step': main(
    'var i = 0u; while i < 10u { if o[1] == 0u { continue; } i++; }',
  ),
  'loops in loops': main(
    `${repeat(7, (i) => `for (var i${i} = 0u; i${i} < 65535u; i${i}++) { `)}o[i0 % 4u] += i6;${'}'.repeat(7)}`,
  ),
  'an endless loop in each call of many': main(
    'for (var i = 0u; i < 1000000u; i++) { o[0] += spin(i); }',
    'fn spin(n: u32) -> u32 { var i = n; loop { if o[1] == 9u { return i; } i++; } }',
  ),
  'a wait for a lock that nobody gives back': `${ATOMIC}@compute @workgroup_size(64) fn main() {
  loop { if atomicCompareExchangeWeak(&o[0], 0u, 1u).exchanged { break; } }
}`,
  'a wait for another workgroup': `${ATOMIC}@compute @workgroup_size(64) fn main(@builtin(workgroup_id) g: vec3<u32>) {
  while atomicLoad(&o[1]) == g.x { }
}`,
  'atomics on one word': `${ATOMIC}@compute @workgroup_size(256) fn main() {
  for (var i = 0u; i < 100000000u; i++) { atomicAdd(&o[0], i); atomicXor(&o[0], i); }
}`,
  'barriers without an end': `${OUT}var<workgroup> w: array<u32, 256>;
@compute @workgroup_size(256) fn main(@builtin(local_invocation_index) i: u32) {
  loop { w[i] += w[255u - i]; workgroupBarrier(); if workgroupUniformLoad(&w[0]) == 77u { break; } }
  o[i] = w[i];
}`,
  'barriers in functions without an end': `${OUT}var<workgroup> w: u32;
fn wait() { for (var i = 0u; i < 1000000u; i++) { workgroupBarrier(); } }
@compute @workgroup_size(256) fn main() { for (var i = 0u; i < 1000000u; i++) { wait(); } o[0] = w; }`,
  'costly functions in a loop': main(
    'var x = f32(id.x); loop { x = sin(cos(tan(exp(log(pow(abs(x) + 1.1, 1.3)))))); if x == 77.0 { break; } } o[0] = u32(x);',
    '',
    256,
  ),
  'matrices in a loop': main(
    'var m = mat4x4<f32>(); for (var i = 0u; i < 4000000000u; i++) { m = m * m * transpose(m); m[0][0] += f32(i); } o[0] = u32(m[3].w);',
    '',
    256,
  ),
  'divisions in a loop': main(
    'var x = id.x + 7u; loop { x = (0xffffffffu / x) % 12345u + x / 3u; if x == 0u { break; } } o[0] = x;',
    '',
    256,
  ),
  'copies of an array in a loop': main(
    'var a: array<u32, 1000>; for (var i = 0u; ; i++) { let b = a; a[i % 1000u] = b[(i * 7u) % 1000u] + 1u; if a[5] == 4000000000u { break; } } o[0] = a[3];',
    '',
    256,
  ),
  'memory in leaps': main(
    'var at = id.x; loop { at = (o[at % arrayLength(&o)] + at * 1664525u + 1013904223u); if at == 3u { break; } } o[0] = at;',
    '',
    256,
  ),
  'a switch that stays': main(
    'loop { switch o[0] { case 5u: { return; } default: { continue; } } }',
  ),
  'an endless continuing block': main(
    'loop { if o[1] == 9u { break; } continuing { loop { if o[1] == 9u { break; } o[0] = 1u; } } }',
  ),
  'an endless loop in a condition': main(
    'while spin() { }',
    'fn spin() -> bool { loop { if o[1] == 9u { return true; } } }',
  ),
}
