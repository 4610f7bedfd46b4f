/** Reads JSON of one shape byte by byte: which bytes may follow, and where the text may end. */
import type { JsonShape } from '#shared/job/json-shape.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { createKeyTrie, type KeyTrie } from './key-trie.ts'
import { NUMBER_START, numberEnds, stepNumber, type NumberState } from './number.ts'
import { STRING_START, stepString, type StringState } from './string.ts'

/** A position in a text: what is being written, and what follows it. */
export interface JsonState {
  readonly frame: Frame
  /** The position after the frame is complete; undefined after the last. */
  readonly next: JsonState | undefined
}

type ArrayShape = Extract<JsonShape, { kind: 'array' }>

type Frame =
  /** Before a value, after `spaces` of white space. */
  | { readonly at: 'value'; readonly shape: JsonShape; readonly spaces: number }
  | { readonly at: 'string'; readonly string: StringState }
  | { readonly at: 'number'; readonly number: NumberState }
  | { readonly at: 'choice'; readonly trie: KeyTrie; readonly node: number }
  /** After `[`, or after an element when `count` is over 0. */
  | {
      readonly at: 'array'
      readonly shape: ArrayShape
      readonly count: number
      readonly spaces: number
    }
  /** After `{` (`open`), after a member (`member`), or after a comma (`comma`). */
  | {
      readonly at: 'object'
      readonly phase: 'open' | 'member' | 'comma'
      readonly object: ObjectRules
      readonly used: bigint
      readonly spaces: number
    }
  | {
      readonly at: 'key'
      readonly object: ObjectRules
      readonly used: bigint
      readonly node: number
    }
  | { readonly at: 'colon'; readonly shape: JsonShape; readonly spaces: number }

/** The members of an object. Without a trie any name is allowed. */
interface ObjectRules {
  readonly id: number
  readonly trie: KeyTrie | undefined
  readonly shapes: readonly JsonShape[]
  /** One bit a property. */
  readonly required: bigint
  readonly all: bigint
}

export interface JsonAutomaton {
  readonly start: JsonState
  /** Undefined when the byte is not allowed. */
  readonly step: (state: JsonState, byte: number) => JsonState | undefined
  canEnd(state: JsonState): boolean
  isDone(state: JsonState): boolean
  /** States with equal keys allow the same continuations. */
  keyOf(state: JsonState): string
}

/** Most white space between two signs: enough for indented JSON, too little to fill an answer with. */
const MAX_SPACES = 20
const ANY: JsonShape = { kind: 'any' }
const LITERALS: JsonShape = { kind: 'choice', texts: ['true', 'false', 'null'] }
const DONE: JsonState = { frame: { at: 'value', shape: ANY, spaces: Infinity }, next: undefined }

const [QUOTE, COMMA, COLON, MINUS] = [0x22, 0x2c, 0x3a, 0x2d]
const [OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE] = [0x5b, 0x5d, 0x7b, 0x7d]

export function createJsonAutomaton(shape: JsonShape): JsonAutomaton {
  const tables: Tables = { choices: new Map(), objects: new Map(), ids: new Map() }
  const step = (state: JsonState, byte: number) => stepState(tables, state, byte)
  return {
    // White space before the first sign would only cost tokens.
    start: { frame: { at: 'value', shape, spaces: MAX_SPACES }, next: DONE },
    step,
    isDone: (state) => state === DONE,
    canEnd(state) {
      for (let at: JsonState | undefined = state; at !== undefined; at = at.next) {
        if (at === DONE) return true
        if (!isComplete(at.frame)) return false
      }
      return false
    },
    keyOf(state) {
      let key = ''
      for (let at: JsonState | undefined = state; at !== undefined; at = at.next)
        key += `${frameKey(tables, at.frame)}/`
      return key
    },
  }
}

interface Tables {
  readonly choices: Map<JsonShape, KeyTrie>
  readonly objects: Map<JsonShape, ObjectRules>
  readonly ids: Map<object, number>
}

function stepState(tables: Tables, state: JsonState, byte: number): JsonState | undefined {
  if (state === DONE) return undefined
  const { frame, next } = state
  switch (frame.at) {
    case 'value':
      return isSpace(byte)
        ? spaced(frame, next)
        : startValue(tables, { shape: frame.shape, byte, next })
    case 'string': {
      const string = stepString(frame.string, byte)
      if (string === frame.string) return state
      if (string === 'end') return next
      return string === undefined ? undefined : { frame: { at: 'string', string }, next }
    }
    case 'number': {
      const number = stepNumber(frame.number, byte)
      if (number !== undefined) return { frame: { at: 'number', number }, next }
      // A number has no end mark: the next byte ends it.
      return numberEnds(frame.number) && next ? stepState(tables, next, byte) : undefined
    }
    case 'choice': {
      const node = frame.trie.step(frame.node, byte)
      if (node !== undefined) return choice(frame.trie, node, next)
      return frame.trie.valueAt(frame.node) !== undefined && next
        ? stepState(tables, next, byte)
        : undefined
    }
    case 'array':
      return stepArray(tables, state, { frame, byte })
    case 'object':
      return stepObject(state, { frame, byte })
    case 'key':
      return stepKey(state, { frame, byte })
    case 'colon':
      if (isSpace(byte)) return spaced(frame, next)
      return byte === COLON
        ? { frame: { at: 'value', shape: frame.shape, spaces: 0 }, next }
        : undefined
  }
}

interface Start {
  readonly shape: JsonShape
  readonly byte: number
  readonly next: JsonState | undefined
}

function startValue(tables: Tables, { shape, byte, next }: Start): JsonState | undefined {
  switch (shape.kind) {
    case 'string':
      return byte === QUOTE ? { frame: { at: 'string', string: STRING_START }, next } : undefined
    case 'number': {
      const number = stepNumber(NUMBER_START[shape.isInteger ? 'integer' : 'number'], byte)
      return number === undefined ? undefined : { frame: { at: 'number', number }, next }
    }
    case 'choice': {
      const trie = remember(tables.choices, shape, () => createKeyTrie(shape.texts))
      const node = trie.step(trie.root, byte)
      return node === undefined ? undefined : choice(trie, node, next)
    }
    case 'array':
      if (byte !== OPEN_BRACKET) return undefined
      return { frame: { at: 'array', shape, count: 0, spaces: 0 }, next }
    case 'object': {
      if (byte !== OPEN_BRACE) return undefined
      const object = remember(tables.objects, shape, () => objectRules(tables.objects.size, shape))
      return { frame: { at: 'object', phase: 'open', object, used: 0n, spaces: 0 }, next }
    }
    case 'union':
      for (const one of shape.of) {
        const state = startValue(tables, { shape: one, byte, next })
        if (state !== undefined) return state
      }
      return undefined
    case 'any':
      return startValue(tables, { shape: anyBy(byte, next), byte, next })
  }
}

const NUMBER: JsonShape = { kind: 'number', isInteger: false }
const STRING: JsonShape = { kind: 'string' }
const ARRAY: JsonShape = { kind: 'array', items: ANY, minItems: 0, maxItems: Infinity }
const OBJECT: JsonShape = { kind: 'object', properties: undefined }

/** The kind of a free value follows from its first byte. Deep down only scalars are allowed. */
function anyBy(byte: number, next: JsonState | undefined): JsonShape {
  if (byte === QUOTE) return STRING
  if (byte === MINUS || isDigit(byte)) return NUMBER
  if (byte !== OPEN_BRACE && byte !== OPEN_BRACKET) return LITERALS
  let depth = 0
  for (let at = next; at !== undefined; at = at.next) depth += 1
  if (depth > LIMITS.jsonDepth) return LITERALS
  return byte === OPEN_BRACE ? OBJECT : ARRAY
}

interface At<F> {
  readonly frame: F
  readonly byte: number
}

function stepArray(
  tables: Tables,
  { next }: JsonState,
  { frame, byte }: At<Extract<Frame, { at: 'array' }>>,
): JsonState | undefined {
  const { shape, count } = frame
  if (isSpace(byte)) return spaced(frame, next)
  if (byte === CLOSE_BRACKET) return count >= shape.minItems ? next : undefined
  if (count >= shape.maxItems) return undefined
  // Without an upper bound it only matters whether there are enough elements, and whether there is one.
  const most = shape.maxItems === Infinity ? Math.max(1, shape.minItems) : shape.maxItems
  const after: JsonState = {
    frame: { at: 'array', shape, count: Math.min(count + 1, most), spaces: 0 },
    next,
  }
  if (count === 0) return startValue(tables, { shape: shape.items, byte, next: after })
  return byte === COMMA
    ? { frame: { at: 'value', shape: shape.items, spaces: 0 }, next: after }
    : undefined
}

function stepObject(
  { next }: JsonState,
  { frame, byte }: At<Extract<Frame, { at: 'object' }>>,
): JsonState | undefined {
  const { object, used, phase } = frame
  if (isSpace(byte)) return spaced(frame, next)
  if (byte === CLOSE_BRACE)
    return phase !== 'comma' && (used & object.required) === object.required ? next : undefined
  const hasMore = object.trie === undefined || used !== object.all
  if (!hasMore) return undefined
  if (phase === 'member')
    return byte === COMMA
      ? { frame: { at: 'object', phase: 'comma', object, used, spaces: 0 }, next }
      : undefined
  if (byte !== QUOTE) return undefined
  if (object.trie === undefined) {
    const colon: JsonState = {
      frame: { at: 'colon', shape: ANY, spaces: 0 },
      next: member(object, used, next),
    }
    return { frame: { at: 'string', string: STRING_START }, next: colon }
  }
  return { frame: { at: 'key', object, used, node: object.trie.root }, next }
}

function stepKey(
  { next }: JsonState,
  { frame, byte }: At<Extract<Frame, { at: 'key' }>>,
): JsonState | undefined {
  const { object, used } = frame
  const node = object.trie?.step(frame.node, byte)
  if (node === undefined || object.trie === undefined) return undefined
  if ((object.trie.below(node) & ~used) === 0n) return undefined
  const index = object.trie.valueAt(node)
  if (index === undefined) return { frame: { at: 'key', object, used, node }, next }
  const shape = object.shapes[index] ?? ANY
  const after = member(object, used | (1n << BigInt(index)), next)
  return { frame: { at: 'colon', shape, spaces: 0 }, next: after }
}

function member(object: ObjectRules, used: bigint, next: JsonState | undefined): JsonState {
  return { frame: { at: 'object', phase: 'member', object, used, spaces: 0 }, next }
}

function choice(trie: KeyTrie, node: number, next: JsonState | undefined): JsonState | undefined {
  const isLast = trie.valueAt(node) !== undefined && trie.isLeaf(node)
  return isLast ? next : { frame: { at: 'choice', trie, node }, next }
}

function isComplete(frame: Frame): boolean {
  if (frame.at === 'number') return numberEnds(frame.number)
  return frame.at === 'choice' && frame.trie.valueAt(frame.node) !== undefined
}

function spaced(
  frame: Extract<Frame, { spaces: number }>,
  next: JsonState | undefined,
): JsonState | undefined {
  return frame.spaces < MAX_SPACES
    ? { frame: { ...frame, spaces: frame.spaces + 1 }, next }
    : undefined
}

function remember<K, V>(values: Map<K, V>, key: K, make: () => V): V {
  const known = values.get(key)
  if (known !== undefined) return known
  const value = make()
  values.set(key, value)
  return value
}

function objectRules(
  id: number,
  { properties }: Extract<JsonShape, { kind: 'object' }>,
): ObjectRules {
  const bits = (wanted: (index: number) => boolean) =>
    (properties ?? []).reduce((sum, _, i) => (wanted(i) ? sum | (1n << BigInt(i)) : sum), 0n)
  return {
    id,
    // The opening quote is read before the trie begins; the closing one is part of each name.
    trie: properties && createKeyTrie(properties.map(({ name }) => JSON.stringify(name).slice(1))),
    shapes: (properties ?? []).map((property) => property.shape),
    required: bits((index) => properties?.[index]?.isRequired === true),
    all: bits(() => true),
  }
}

function frameKey(tables: Tables, frame: Frame): string {
  const id = (thing: object) => remember(tables.ids, thing, () => tables.ids.size)
  switch (frame.at) {
    case 'value':
      return `v${id(frame.shape)}.${frame.spaces}`
    case 'string':
      return `s${frame.string.id}`
    case 'number':
      return `n${frame.number.phase}${frame.number.digits}${frame.number.isInteger}`
    case 'choice':
      return `c${id(frame.trie)}.${frame.node}`
    case 'array':
      return `a${id(frame.shape)}.${frame.count}.${frame.spaces}`
    case 'object':
      return `o${frame.object.id}.${frame.phase}.${frame.used}.${frame.spaces}`
    case 'key':
      return `k${frame.object.id}.${frame.used}.${frame.node}`
    case 'colon':
      return `:${id(frame.shape)}.${frame.spaces}`
  }
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39
}
