import { createNodeEngine } from '#local-node/engine-host.ts'
import { createLog } from '#shared/log.ts'
import { createHash } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
const rss = () => {
  let most = 0
  for (const pid of readdirSync('/proc').filter((p) => /^\d+$/.test(p))) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      const ppid = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
      if (ppid !== process.pid) continue
      const kb = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0)
      if (kb / 1024 > 6000) process.kill(Number(pid), 'SIGKILL')
      most = Math.max(most, kb / 1024)
    } catch {}
  }
  return most
}
let peak = 0
setInterval(() => { peak = Math.max(peak, rss()) }, 50).unref()
const OUT = '@group(0) @binding(0) var<storage, read_write> out: array<u32>;\n'
const main = (body: string, head = '', size = '1') => `${OUT}${head}@compute @workgroup_size(${size}) fn main(@builtin(global_invocation_id) id: vec3<u32>) { ${body} }`
const chain = (n: number) => Array.from({ length: n }, (_, i) => i === 0 ? 'fn f0(x: u32) -> u32 { return x * 3u + out[x]; }' : `fn f${i}(x: u32) -> u32 { return f${i - 1}(x + 1u) ^ f${i - 1}(x + 2u); }`).join('\n') + '\n'
const structs = (n: number) => 'struct S0 { a: array<u32, 64> }\n' + Array.from({ length: n }, (_, i) => `struct S${i + 1} { a: S${i}, b: S${i} }\n`).join('')
const cases: Record<string, string> = {
  ok: main('out[id.x] = 1u;'),
  privateArray: main('a[id.x] = 2u; out[0] = a[out[0]];', 'var<private> a: array<u32, 200000000>;\n'),
  functionArray: main('var a: array<u32, 16000000>; a[out[0]] = 3u; out[0] = a[out[1]];'),
  privateMax: main('a[out[0]] = 2u; out[0] = a[out[1]];', 'var<private> a: array<u32, 2000>;\n', '256'),
  workgroup: main('a[id.x] = 2u; out[0] = a[out[0]];', 'var<workgroup> a: array<u32, 100000000>;\n'),
  recursion: main('out[0] = r(1u);', 'fn r(x: u32) -> u32 { return r(x); }\n'),
  parens: main(`out[0] = ${'('.repeat(30000)}1u${')'.repeat(30000)};`),
  unary: main(`out[0] = ${'~'.repeat(60000)}out[1];`),
  binary: main(`out[0] = out[1]${'+out[1]'.repeat(9000)};`),
  blocks: main(`${'{'.repeat(1900)}out[0]=1u;${'}'.repeat(1900)}`),
  ifs: main(`${'if (out[0] > 1u) {'.repeat(600)}out[0]=1u;${'}'.repeat(600)}`),
  identifier: main(`let ${'a'.repeat(60000)} = 1u; out[0] = 1u;`),
  fanout20: main('out[0] = f20(id.x);', chain(21)),
  fanout28: main('out[0] = f28(id.x);', chain(29)),
  fanout60: main('out[0] = f60(id.x);', chain(61)),
  structs24: main('out[0] = s.a.b.a.b.a.a[0];'.replace('.a.b.a.b.a.a[0]', '.a' .repeat(25) + '[out[1]]'), structs(24) + 'var<private> s: S24;\n'),
  structZero: main('var s = S12(); out[0] = s' + '.a'.repeat(13) + '[out[1]]; s = S12(s.a, s.b); ' + 's = S12(s.b, s.a);'.repeat(200), structs(12)),
  constArrays: main('out[0] = c[out[1] % 9u][out[2]%60000u];', 'const c = array<array<u32, 60000>, 9>();\n'),
  nestedTemplates: main('out[0]=1u;', `alias T = ${'array<'.repeat(2000)}u32${',1>'.repeat(2000)};\n`),
  constEval: main('out[0] = c;', 'const c0 = 1u;\n' + Array.from({ length: 900 }, (_, i) => `const c${i + 1} = c${i} ^ c${i};\n`).join('') + 'const c = c900;\n'),
  longLoop: main('for (var i = 0u; i < 4294967295u; i++) { for (var j = 0u; j < 4294967295u; j++) { out[0] += i ^ j; } }'),
  switchBig: main('switch out[0] { ' + Array.from({ length: 1500 }, (_, i) => `case ${i}u: { out[1] = ${i}u; }`).join('') + ' default: {} }'),
  nul: main('out[0] = 1u; // \u0000 x'),
  bigOverride: main('out[0] = a[out[1]];', 'override n: u32 = 100000000u;\nvar<workgroup> a: array<u32, n>;\n'),
}
const only = process.argv.slice(2)
const log = createLog({ level: 'warn', write: (l) => console.log('   ', l.slice(0, 240)) })
const engine = await createNodeEngine({ device: 'auto', kernels: 'any', models: [], log })
const go = async (wgsl: string) => {
  const work = { kind: 'kernel', wgsl, entryPoint: 'main', workgroups: [1, 1, 1], buffers: [{ binding: 0, access: 'read_write', sizeBytes: 1024, filled: false, return: true }], digest: `0x${createHash('sha256').update(wgsl).digest('hex')}` } as const
  return engine.run(work as never, new Uint8Array(), { signal: AbortSignal.timeout(60_000), emit: async () => {} })
}
for (const [name, wgsl] of Object.entries(cases)) {
  if (only.length > 0 && !only.includes(name)) continue
  peak = 0
  const t = performance.now()
  let word = 'answered'
  try { await go(wgsl) } catch (e) { word = String(e).slice(0, 160).replaceAll('\n', ' ') }
  const ms = Math.round(performance.now() - t)
  let after = 'ok'
  const t2 = performance.now()
  try { await go(cases.ok ?? '') } catch (e) { after = String(e).slice(0, 120) }
  console.log(`${name} [${wgsl.length}B]: ${word} | ${ms} ms | peak ${Math.round(peak)} MiB | next job: ${after} after ${Math.round(performance.now() - t2)} ms`)
}
await engine.close()
process.exit(0)
