/** Small kernels, each for one part of WGSL's grammar. Every WebGPU implementation accepts them. */

const OUT = '@group(0) @binding(0) var<storage, read_write> o: array<u32>;\n'

/** A kernel with this body. `before` may begin with directives. */
function main(body: string, before = ''): string {
  return `${before}${OUT}@compute @workgroup_size(1) fn main() { ${body} }`
}

export const GRAMMAR: Readonly<Record<string, string>> = {
  'nested comment': main('/* a /* b */ c */ o[0]=1u;'),
  'nel comment': main('// x\u0085 o[0]=1u;'),
  unicode: main('let \u0394\u03ad\u03bb\u03c4\u03b1 = 1u; o[0]=\u0394\u03ad\u03bb\u03c4\u03b1;'),
  underscore: main('_ = o[0];'),
  'break if': main('var i=0u; loop { i++; continuing { break if i > 3u; } }'),
  'while no paren': main('var i=0u; while i < 3u { i++; }'),
  'if no paren': main('var i=0u; if i < 3u { i++; } else if i == 7u { } else { }'),
  'switch no paren': main('switch o[0] { case 1u, 2u: { o[0]=1u; } case 3u { } default { } }'),
  'switch default in': main('switch (o[0]) { case 1u, default: { o[0]=1u; } }'),
  'switch trailing': main('switch (o[0]) { case 1u, 2u, { o[0]=1u; } default: {} }'),
  'attr loop': main(
    '@diagnostic(off, derivative_uniformity) for (var i=0u;i<2u;i++) @diagnostic(off,derivative_uniformity) { o[i]=i; }',
  ),
  'attr switch': main('switch o[0] @diagnostic(off,derivative_uniformity) { default {} }'),
  'attr block': main('@diagnostic(off,derivative_uniformity) { o[0]=1u; }'),
  'ptr deref': main('var x=1u; let p=&x; *p = 3u; (*p)++; o[0]=*p;'),
  'lhs paren': main('var x=vec2<u32>(); (x).y = 3u; (x.x) += 1u; o[0]=x.y;'),
  'auto deref': main('var x=vec2<u32>(); let p=&x; p.y = 3u; p[0] = 2u; o[0]=x.y;'),
  'shift assign': main('o[0] <<= 2u; o[0] >>= 1u; o[0] = o[0] >> 1u;'),
  'template ambig': main(
    'let a=1; let b=2; let c=3; let d = (a < b) == (c > 1); if d { o[0]=1u; }',
  ),
  'template cmp': main('let a=1u; let b=2u; o[0] = select(0u,1u, a<b && b>(a));'),
  'template ge': main('let v = vec2<u32>(1u,2u); let q = array<vec2<u32>,2>(v,v); o[0]=q[1].x;'),
  'template shift': main('var a: array<u32,(N>>1)>; o[0]=a[0];', 'const N=2; '),
  'template nested': main('var a: array<array<u32,2>,2>=array<array<u32,2>,2>(); o[0]=a[0][0];'),
  'var template eq': main('var<function> x:vec2<u32>=vec2<u32>(); o[0]=x.x;'),
  'vec eq': main('let a = vec2<u32>(1)==vec2<u32>(1); o[0]=u32(all(a));'),
  diag: main('o[0]=1u;', 'diagnostic(off, derivative_uniformity);\n'),
  'diag rule': main('o[0]=1u;', 'diagnostic(off, chromium.unreachable_code);\n'),
  requires: main('o[0]=1u;', 'requires readonly_and_readwrite_storage_textures;\n'),
  'enable many': main(
    'o[0]=1u;',
    'requires unrestricted_pointer_parameters, pointer_composite_access,;\n',
  ),
  'empty decl': main('o[0]=1u;;', ';'),
  'struct semi': main('var s: S; o[0]=s.b.x;', 'struct S { a: u32, @align(16) b: vec3<u32>, };'),
  'struct no trail': main('var s: S; o[0]=s.b;', 'struct S { a: u32, @size(32) b: u32 }'),
  'fn attr': main('o[0]=g();', '@must_use fn g() -> u32 { return 1u; }'),
  'fn trail': main('o[0]=g(1u,2u,);', 'fn g(a: u32, b: u32,) -> u32 { return a+b; }'),
  override: main('o[0]=W+Q;', '@id(3) override W: u32 = 4; override Q = 3u;'),
  'wg expr': OUT + 'const W = 4; @compute @workgroup_size(W*2, 1u, 1) fn main() { o[0]=1u; }',
  'attr order':
    OUT +
    '@workgroup_size(1) @compute fn main(@builtin(local_invocation_id) id: vec3u) { o[0]=id.x; }',
  'struct param':
    OUT +
    'struct I { @builtin(local_invocation_index) i: u32, @builtin(global_invocation_id) g: vec3u, } @compute @workgroup_size(1) fn main(p: I) { o[0]=p.i+p.g.x; }',
  'hex float': main(
    'let x = 0x1.8p1f; let y=0X.8p0; let z = 0x1p-2; let w=1e-3f; let v=.5; let u=5.; let h=1.f; o[0]=u32(x+y+z);',
  ),
  'const assert': main('const_assert true; o[0]=1u;', 'const_assert 1 < 2; const_assert(2>1);'),
  'const shadow': main('let x=1u; { let x=2u; o[0]=x; } for (let x=3u; o[0]<x; ) { o[0]++; }'),
  'shadow builtin': main('let vec3=1u; let min=2u; o[0]=vec3+min;'),
  'shadow fn': main('o[0]=max(3u);', 'fn max(a: u32) -> u32 { return a; }'),
  'shadow type': main('var x: f32 = 1u; o[0]=x;', 'alias f32 = u32;'),
  'alias arr': main('var a = A(1u,2u,3u,4u); o[0]=a[1];', 'alias A = array<u32,4>;'),
  'array infer': main('var a = array(1u,2u,3u); o[0]=a[1];'),
  'unary chain': main('let a = -(-(1)); let b = !!true; let c = ~~1u; o[0]=c;'),
  'name contextual': main(
    'let read=1u; let storage=2u; let position=3u; let off=1u; o[0]=read+storage;',
  ),
  'builtin names':
    OUT + '@compute @workgroup_size(1) fn main(@builtin(num_workgroups,) n: vec3u) { o[0]=n.x; }',
  'call stmt': main('g(); g();', 'fn g() {}'),
  'ptr param': main('var x=1u; g(&x); o[0]=x;', 'fn g(p: ptr<function, u32>) { *p += 1u; }'),
  atomics: main(
    'atomicAdd(&a, 1u); let r = atomicCompareExchangeWeak(&a, 0u, 1u); o[0]=r.old_value;',
    '@group(0) @binding(1) var<storage, read_write> a: atomic<u32>;',
  ),
  'for no init': main(
    'var i=0u; for (;;) { if i>2u {break;} i++; } for (;i<9u;) {i+=1u;} for (i=0u;i<3u;i+=1u) {continue;}',
  ),
  'for call': main('var i=0u; for (g();i<2u;g()) {i++;}', 'fn g() {}'),
  'workgroup var': main(
    's[0]=1u; workgroupBarrier(); o[0]=workgroupUniformLoad(&s[0]);',
    'var<workgroup> s: array<u32, 64>;',
  ),
  crlf: main('o[0]=1u;\r\n// c\r o[1]=1u;'),
  'lt no template': main(
    'let a=1u; let b=2u; if (a<b) { o[0]=1u; } let c = a<b || b>a; if (c) {o[0]=1u;}',
  ),
  'index in template': main(
    'let a=1u; if (o[0]<o[1]) { o[0]=1u; } let d = o[0]<a; if (d) {o[0]=1u;}',
  ),
  modulo: main('o[0] = o[0] % 2u; o[0] %= 3u; o[0] ^= 1u; o[0] |= 1u; o[0] &= 3u;'),
  semis: main(';;; if true {;}'),
  'return val': main(
    'o[0]=g(); return;',
    'fn g() -> u32 { if true { return 1u; } else { return 2u; } }',
  ),
  'mat type': main('let m = mat2x2<f32>(1,2,3,4) * vec2f(1,2); let n = mat3x4f(); o[0]=u32(m.x);'),
  'member keywordish': main(
    'var s = S(1u,2u,3u); o[0]=s.x;',
    'struct S { fn_: u32, type_: u32, x: u32 }',
  ),
  'a loop that only return leaves':
    OUT +
    'fn g() -> u32 { loop { if o[0] > 3u { return 1u; } o[0]++; } } @compute @workgroup_size(1) fn main() { o[1] = g(); }',
  'a loop that only return leaves, in a branch':
    OUT +
    'fn g() -> vec3<u32> { if o[0] == 0u { for (;;) { return vec3u(1u); } } else { return vec3u(); } } @compute @workgroup_size(1) fn main() { o[1] = g().x; }',
  'a loop that only return leaves, in a switch':
    OUT +
    'struct S { a: array<f32, 2> } fn g() -> S { switch o[0] { case 1u: { return S(); } default: { loop { return S(); } } } } @compute @workgroup_size(1) fn main() { o[1] = u32(g().a[0]); }',
  'a type hidden by a local name':
    OUT +
    'struct T { a: u32 } fn g() -> T { let T = 1u; loop { if o[0] >= T { return h(); } o[0]++; } } fn h() -> T { return T(2u); } @compute @workgroup_size(1) fn main() { o[1] = g().a; }',
  'unreachable code is an error': main(
    'loop { if o[0] > 1u { return; } o[0]++; }',
    'diagnostic(error, chromium.unreachable_code);\n',
  ),
  'a loop in a continuing block': main(
    'var i = 0u; loop { if i > 3u { break; } continuing { for (var j = 0u; j < 2u; j++) { o[j]++; } i++; } }',
  ),
  'a switch in a loop': main(
    'for (var i = 0u; i < 5u; i++) { switch i { case 1u: { continue; } case 2u: { break; } default: { o[i] = 1u; } } }',
  ),
  'names that the rewriter likes': main(
    'var littoral0_left = 3u; let littoral1 = 2u; while littoral0_left > 0u { littoral0_left -= 1u; o[0] += littoral1; }',
  ),
  'a barrier behind a loop over a private count': main(
    'var s = 1u; while s < 8u { s *= 2u; } for (var t = s; t > 0u; t /= 2u) { w[0] += t; workgroupBarrier(); } if s == 8u { workgroupBarrier(); } o[0] = w[0];',
    'var<workgroup> w: array<u32, 4>;\n',
  ),
  'a barrier behind a loop that diverges':
    OUT +
    'var<workgroup> w: array<u32, 64>; @compute @workgroup_size(64) fn main(@builtin(local_invocation_index) i: u32) { for (var j = 0u; j < i; j++) { w[i] += j; } workgroupBarrier(); o[i] = w[63u - i]; }',
  'barriers in functions called from loops':
    OUT +
    'var<workgroup> w: array<u32, 64>; fn sum(i: u32, n: u32,) -> u32 { for (var s = n / 2u; s > 0u; s >>= 1u) { if i < s { w[i] += w[i + s]; } workgroupBarrier(); } return workgroupUniformLoad(&w[0]); } fn twice(i: u32) -> u32 { return sum(i, 64u) + sum(i, 32u); } @compute @workgroup_size(64) fn main(@builtin(local_invocation_index) i: u32) { var all = 0u; for (var k = 0u; k < 3u; k++) { w[i] = i + k; workgroupBarrier(); all += twice(i); workgroupBarrier(); } o[i] = all; }',
  'a function with barriers and without parameters':
    OUT +
    'var<workgroup> w: u32; fn wait() { for (var i = 0u; i < 2u; i++) { workgroupBarrier(); } } @compute @workgroup_size(4) fn main() { wait(); for (var i = 0u; i < 2u; i++) { wait(); } o[0] = 1u; }',
  'the same helper in uniform flow and out of it':
    OUT +
    'var<workgroup> w: array<u32, 64>; fn steps(n: u32) -> u32 { var c = 0u; for (var i = 0u; i < n; i++) { c++; } return c; } @compute @workgroup_size(64) fn main(@builtin(local_invocation_index) i: u32) { let own = steps(i); if steps(3u) == 3u { w[i] = own; workgroupBarrier(); } o[i] = w[63u - i]; }',
  'a vertex and a fragment stage with loops beside the kernel':
    OUT +
    'struct Out { @builtin(position) at: vec4f, @location(0) n: f32 } fn times(n: u32, k: u32) -> u32 { var s = 0u; for (var i = 0u; i < k; i++) { s += n; } return s; } @vertex fn vs(@builtin(vertex_index) i: u32) -> Out { loop { if i > 3u { break; } } return Out(vec4f(f32(times(i, 3u))), 1.0); } @fragment fn fs(in: Out) -> @location(0) vec4f { while in.n > 9.0 { break; } return vec4f(f32(times(2u, 3u))); } @compute @workgroup_size(16) fn other() { while o[0] > 1u { o[0] += times(1u, 2u); } } @compute @workgroup_size(16) fn main(@builtin(global_invocation_id) g: vec3u) { o[g.x] = times(g.x, 5u); }',
  'the same beside barriers':
    OUT +
    'var<workgroup> w: u32; fn times(n: u32, k: u32) -> u32 { var s = 0u; for (var i = 0u; i < k; i++) { s += n; } return s; } @vertex fn vs(@builtin(vertex_index) i: u32) -> @builtin(position) vec4f { return vec4f(f32(times(i, 3u))); } @compute @workgroup_size(16) fn main(@builtin(local_invocation_index) g: u32) { w = 1u; workgroupBarrier(); o[g] = times(g, 5u); }',
  'a pointer parameter beside the budget':
    OUT +
    'var<workgroup> w: u32; fn add(p: ptr<function, u32>) { for (var i = 0u; i < 2u; i++) { *p += 1u; workgroupBarrier(); } } @compute @workgroup_size(4) fn main() { var x = 0u; add(&x); o[0] = x; }',
}
