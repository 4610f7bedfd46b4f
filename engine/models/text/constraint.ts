/** Restricts an answer, token by token, to JSON of the requested shape. */
import { BoundedMap } from '#shared/base/bounded-map.ts'
import { AppError } from '#shared/base/errors.ts'
import { ANY_OBJECT, parseJsonShape } from '#shared/job/json-shape.ts'
import type { TextInput } from '#shared/job/text.ts'
import { createJsonAutomaton, type JsonAutomaton, type JsonState } from './json/automaton.ts'
import { STRING_START } from './json/string.ts'
import { addTaken, sortTokens, type SortedTokens } from './token-mask.ts'
import { requestFault } from './request-fault.ts'
import { argmax, sampleToken, type Sampling, type TokenMask } from './sample.ts'
import type { Vocabulary } from './vocabulary.ts'

/** Compiled JSON schemas that a chat model remembers. */
const JSON_GRAMMARS = 8
/** States of one compiled JSON schema whose allowed tokens are remembered. */
const JSON_MASKS = 128

export interface Constraint {
  /** The next token; an end token only where the text may end. @throws {AppError} internal when no token is allowed */
  choose(logits: Float32Array, sampling: Sampling): number
  accept(id: number): void
  readonly isDone: boolean
}

/** @throws {AppError} invalid_request for a format that cannot be enforced */
export type ConstraintFactory = (
  input: Pick<TextInput, 'format' | 'stop'>,
) => Constraint | undefined

/** @param ends tokens that end a text */
export function createConstraints(
  vocabulary: Vocabulary,
  ends: ReadonlySet<number>,
): ConstraintFactory {
  const grammars = new BoundedMap<string, Grammar>(JSON_GRAMMARS)
  let tokens: Tokens | undefined
  return ({ format, stop }) => {
    if (format.type === 'text') return undefined
    if (stop.length > 0) {
      const detail = 'a stop sequence would cut the JSON short; give none with a JSON format'
      throw requestFault('/stop', detail)
    }
    const name = JSON.stringify(format)
    const grammar = grammars.get(name) ?? {
      automaton: createJsonAutomaton(
        format.type === 'json_object'
          ? ANY_OBJECT
          : parseJsonShape(format.schema, '/format/schema'),
      ),
      masks: new BoundedMap(JSON_MASKS),
    }
    grammars.set(name, grammar)
    tokens ??= sortAll(vocabulary)
    return followJson({ vocabulary, ends, grammar, tokens })
  }
}

/** The automaton of one shape, and its masks so far. */
interface Grammar {
  readonly automaton: JsonAutomaton
  readonly masks: Map<string, TokenMask>
}

interface Tokens {
  readonly all: SortedTokens
  /** Tokens that can close a string. */
  readonly withQuote: SortedTokens
  /** Tokens without a quote that stay inside a string: the same mask for every string. */
  readonly inString: TokenMask
}

const QUOTE = 0x22

function sortAll(vocabulary: Vocabulary): Tokens {
  const inString = new Uint32Array((vocabulary.size + 31) >>> 5)
  const text = createJsonAutomaton({ kind: 'string' })
  const start = text.step(text.start, QUOTE)
  const inner = sortTokens(vocabulary, (bytes) => !bytes.includes(QUOTE))
  if (start !== undefined) addTaken(inString, inner, { start, step: text.step })
  return {
    all: sortTokens(vocabulary, () => true),
    withQuote: sortTokens(vocabulary, (bytes) => bytes.includes(QUOTE)),
    inString,
  }
}

interface Following {
  readonly vocabulary: Vocabulary
  readonly ends: ReadonlySet<number>
  readonly grammar: Grammar
  readonly tokens: Tokens
}

function followJson(following: Following): Constraint {
  const { vocabulary, ends, grammar } = following
  const { automaton } = grammar
  let state: JsonState | undefined = automaton.start
  const after = (id: number): JsonState | undefined => {
    const bytes = vocabulary.bytesOf(id)
    let at = bytes.length === 0 ? undefined : state
    for (const byte of bytes) at = at && automaton.step(at, byte)
    return at
  }
  const mayCome = (id: number) =>
    ends.has(id) ? state !== undefined && automaton.canEnd(state) : after(id) !== undefined
  return {
    choose(logits, sampling) {
      if (state === undefined) throw new AppError('internal', 'The text has left its format.')
      if (sampling.temperature === 0) {
        // The likeliest token is nearly always allowed, so the mask is rarely needed.
        const best = argmax(logits)
        if (mayCome(best)) return best
      }
      return sampleToken(logits, sampling, maskOf(following, state))
    },
    accept(id) {
      state = after(id)
    },
    get isDone() {
      return state !== undefined && automaton.isDone(state)
    },
  }
}

function maskOf({ vocabulary, ends, grammar, tokens }: Following, state: JsonState): TokenMask {
  const { automaton, masks } = grammar
  const key = automaton.keyOf(state)
  const known = masks.get(key)
  const isInString = state.frame.at === 'string' && state.frame.string === STRING_START
  const mask =
    known ?? (isInString ? tokens.inString.slice() : new Uint32Array((vocabulary.size + 31) >>> 5))
  if (known === undefined) {
    addTaken(mask, isInString ? tokens.withQuote : tokens.all, {
      start: state,
      step: automaton.step,
    })
    if (automaton.canEnd(state))
      for (const id of ends) mask[id >>> 5] = (mask[id >>> 5] ?? 0) | (1 << (id & 31))
  }
  masks.set(key, mask)
  return mask
}
