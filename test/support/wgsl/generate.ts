/** Random kernels from a seed: well-typed ones from the grammar, and broken ones from pieces of others. */
import { createRandom, type Random } from '../random.ts'

export interface GenerateOptions {
  /** Makes every loop end after a few turns, so that the kernel may run without a budget. */
  readonly isFinite: boolean
}

/** Words at binding 0 that belong to each of the kernel's 4 × 8 invocations. */
export const OWN_WORDS = 16

interface Scope {
  readonly variables: string[]
  readonly values: string[]
}

/**
 * A valid kernel. Each invocation reads and writes its own words of `o` and reads those of `i`, so the result depends
 * on the kernel alone.
 */
export function generateKernel(seed: number, options: GenerateOptions): string {
  const random = createRandom(seed)
  const hasBarriers = random.chance(0.3)
  const functions = Array.from({ length: random.below(4) }, (_, index) => {
    const writer = createWriter(random, { ...options, functions: index, hasBarriers: false })
    const body = writer.block({ variables: [], values: ['p', 'q'] }, 2)
    return `fn f${index}(p: u32, q: u32) -> u32 ${body.slice(0, -1)} return ${writer.word({ variables: [], values: ['p', 'q'] }, 2)}; }`
  })
  const writer = createWriter(random, { ...options, functions: functions.length, hasBarriers })
  return [
    '@group(0) @binding(0) var<storage, read_write> o: array<u32>;',
    '@group(0) @binding(1) var<storage, read> i: array<u32>;',
    'var<private> base: u32; var<private> kept: array<u32, 4>; var<workgroup> shared_words: array<u32, 8>;',
    'const LIMIT = 5u; struct Pair { left: u32, right: vec2<u32> } alias Quad = vec4<u32>;',
    ...functions,
    '@compute @workgroup_size(8) fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {',
    `base = id.x * ${OWN_WORDS}u;`,
    writer.block({ variables: [], values: ['lane', 'id.x'] }, 3),
    hasBarriers ? writer.together() : '',
    writer.block({ variables: [], values: ['lane'] }, 3),
    '}',
  ].join('\n')
}

interface WriterOptions extends GenerateOptions {
  /** Number of functions that may be called: those written before. */
  readonly functions: number
  readonly hasBarriers: boolean
}

function createWriter(random: Random, { isFinite, functions }: WriterOptions) {
  let serial = 0
  const pick = <T>(items: readonly T[], otherwise: T): T =>
    items[random.below(items.length)] ?? otherwise
  const fresh = (kind: string) => (random.chance(0.1) ? 'again' : `${kind}${(serial += 1)}`)

  const word = (scope: Scope, depth: number): string => {
    const sub = () => word(scope, depth - 1)
    if (depth <= 0)
      return pick(
        [...scope.variables, ...scope.values, `${random.below(9)}u`, '0x1Fu', 'LIMIT', 'kept[2]'],
        '1u',
      )
    const forms: readonly (() => string)[] = [
      () => `(${sub()} ${pick(['+', '-', '*', '&', '|', '^'], '+')} ${sub()})`,
      () => `(${sub()} / (${sub()} | 1u))`,
      () => `(${sub()} % 7u)`,
      () => `((${sub()} << (${sub()} % 31u)) >> 1u)`,
      () => `(~${sub()})`,
      () => `select(${sub()}, ${sub()}, ${truth(scope, depth - 1)})`,
      () => `o[base + ${sub()} % ${OWN_WORDS}u]`,
      () => `i[${sub()} % 64u]`,
      () => `kept[${sub()} % 4u]`,
      () => `vec2<u32>(${sub()}, ${sub()}).${pick(['x', 'y'], 'x')}`,
      () => `Quad(${sub()}).zw[${random.below(2)}]`,
      () => `Pair(${sub()}, vec2(${sub()})).right.y`,
      () => `u32(f32(${sub()} % 100u) * ${random.below(9)}.5)`,
      () => `array<u32, 3>(${sub()}, ${sub()}, 3u)[${sub()} % 3u]`,
      () => (functions === 0 ? sub() : `f${random.below(functions)}(${sub()}, ${sub()})`),
      () => `min(${sub()}, max(${sub()}, 2u))`,
    ]
    return pick(forms, sub)()
  }

  const truth = (scope: Scope, depth: number): string => {
    const compare = () =>
      `(${word(scope, depth - 1)} ${pick(['<', '<=', '>', '>=', '==', '!='], '<')} ${word(scope, depth - 1)})`
    if (depth <= 0) return pick(['true', 'false'], 'true')
    return random.chance(0.3)
      ? `(${compare()} ${pick(['&&', '||'], '&&')} !${compare()})`
      : compare()
  }

  const statement = (scope: Scope, depth: number, isInLoop: boolean): string => {
    const inner = () => block(scope, depth - 1, isInLoop)
    const leaf: readonly (() => string)[] = [
      () =>
        `o[base + ${word(scope, 1)} % ${OWN_WORDS}u] ${pick(['=', '+=', '^=', '|=', '-='], '=')} ${word(scope, 2)};`,
      () => `kept[${word(scope, 1)} % 4u] = ${word(scope, 2)};`,
      () => {
        const name = fresh('v')
        const value = word(scope, 2)
        scope.variables.push(name)
        return `var ${name}${pick(['', ': u32'], '')} = ${value};`
      },
      () => {
        const name = fresh('l')
        const value = word(scope, 2)
        scope.values.push(name)
        return `let ${name} = ${value};`
      },
      () =>
        scope.variables.length === 0
          ? ';'
          : `${pick(scope.variables, 'x')}${pick(['++', '--', ' <<= 1u', ' *= 3u'], '++')};`,
      () =>
        scope.variables.length === 0
          ? ';'
          : `{ let pointer = &${pick(scope.variables, 'x')}; *pointer += ${word(scope, 1)}; }`,
      () => `_ = ${word(scope, 2)};`,
      () =>
        isInLoop
          ? `if ${truth(scope, 1)} { ${pick(['break', 'continue'], 'break')}; }`
          : 'const_assert LIMIT > 1u;',
    ]
    if (depth <= 0 || random.chance(0.6)) return pick(leaf, () => ';')()
    const nested: readonly (() => string)[] = [
      () => `if ${truth(scope, 2)} ${inner()}${random.chance(0.5) ? ` else ${inner()}` : ''}`,
      () =>
        `switch ${word(scope, 2)} { case 1u, 2u: ${inner()} case 3u ${inner()} default ${inner()} }`,
      inner,
      () => loop(scope, depth),
    ]
    return pick(nested, inner)()
  }

  const loop = (scope: Scope, depth: number): string => {
    const count = `t${(serial += 1)}`
    const body = block({ ...scope, values: [...scope.values, count] }, depth - 1, true)
    const end = isFinite ? `${count} < ${1 + random.below(6)}u` : truth(scope, 2)
    const forms = [
      `for (var ${count} = 0u; ${end}; ${count}++) ${body}`,
      `{ var ${count} = 0u; while ${end} { ${count}++; ${body} } }`,
      `{ var ${count} = 0u; loop { if !(${end}) { break; } ${body} continuing { ${count}++; } } }`,
      `{ var ${count} = 0u; loop { ${body} continuing { ${count} += 1u; break if !(${end}); } } }`,
    ]
    return pick(forms, body)
  }

  const block = (outer: Scope, depth: number, isInLoop = false): string => {
    const scope: Scope = { variables: [...outer.variables], values: [...outer.values] }
    const known = new Set<string>()
    const statements = Array.from({ length: 1 + random.below(3) }, () => {
      const text = statement(scope, depth, isInLoop)
      const declared = /^(?:var|let) (\w+)/.exec(text)?.[1]
      // WGSL allows an inner block to hide a name, but not to declare it twice.
      if (declared === undefined) return text
      if (known.has(declared)) return ';'
      known.add(declared)
      return text
    })
    return `{ ${statements.join(' ')} }`
  }

  /** A loop that the whole workgroup executes together. */
  const together = () => {
    const turns = isFinite ? '4u' : `${pick(['4u', '4000000000u'], '4u')}`
    return `for (var step = 0u; step < ${turns}; step++) { shared_words[lane] = lane + step * 3u; workgroupBarrier(); let theirs = shared_words[7u - lane]; ${block({ variables: [], values: ['theirs', 'step'] }, 2)} kept[step % 4u] += theirs; workgroupBarrier(); }`
  }
  return { word, block, together }
}

const TOKENS = [
  'loop { }',
  'for (;;) {',
  '}',
  '{',
  ';',
  '<',
  '>',
  '>>',
  '>=',
  '(',
  ')',
  '[',
  ']',
  '@',
  '->',
  '/*',
  '*/',
  '//',
  '\r',
  '\u2028',
  'continuing {',
  'break if true;',
  'continue;',
  'return;',
  'vec2<',
  'array<u32, ',
  'ptr<function, ',
  'var<',
  'u32',
  '0x',
  '1e9f',
  '&&',
  '&',
  '*',
  '++',
  '--',
  'fn f() {',
  'struct S {',
  'alias A = ',
  'switch o[0] {',
  'case 1u: {',
  'default: {',
  'else',
  'if',
  'workgroupBarrier();',
  'littoral0_left',
  '_',
  'diagnostic(off, x);',
  'enable f16;',
  'override x = 1;',
  '\u{1d4d0}',
  '\0',
  "'",
  '"',
  '#',
]

/** A kernel with some pieces left out, doubled, moved or replaced. Every other one changes little, so that it may stay valid. */
export function mutateKernel(source: string, other: string, seed: number): string {
  const random = createRandom(seed)
  let text = source
  for (let turn = 0; turn <= random.below(6); turn += 1)
    text = seed % 2 === 0 ? mutateGently(text, random) : mutateRoughly(text, other, random)
  return text
}

const OPERATORS = [
  '+',
  '-',
  '*',
  '/',
  '%',
  '&',
  '|',
  '^',
  '<',
  '>',
  '==',
  '!=',
  '<=',
  '>=',
  '&&',
  '<<',
  '>>',
]

function mutateGently(text: string, random: Random): string {
  const words = [...text.matchAll(/\b[0-9]+u\b|(?<= )[-+*/%&|^<>=!]{1,2}(?= )|\b[a-z]\w*\b|[;]/g)]
  const word = words[random.below(words.length)]
  const model = words[random.below(words.length)]
  if (word === undefined || model === undefined) return text
  const [old] = word
  const next = /^[0-9]/.test(old)
    ? `${random.below(1 << random.below(31))}u`
    : old === ';'
      ? '; { }'
      : /^\w/.test(old)
        ? /^[a-z]/.test(model[0])
          ? model[0]
          : old
        : (OPERATORS[random.below(OPERATORS.length)] ?? old)
  return text.slice(0, word.index) + next + text.slice(word.index + old.length)
}

function mutateRoughly(text: string, other: string, random: Random): string {
  const at = random.below(text.length + 1)
  const end = Math.min(text.length, at + random.below(random.chance(0.2) ? 400 : 12))
  const cut = (from: string) => {
    const start = random.below(from.length)
    return from.slice(start, start + random.below(200))
  }
  const pieces: readonly (() => string)[] = [
    () => '',
    () => text.slice(at, end).repeat(2 + random.below(3)),
    () => TOKENS[random.below(TOKENS.length)] ?? '',
    () => cut(other),
    () => cut(text),
  ]
  const piece = pieces[random.below(pieces.length)]?.() ?? ''
  return text.slice(0, at) + piece + text.slice(random.chance(0.3) ? at : end)
}
