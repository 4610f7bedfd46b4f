/** Reads a JSON number byte by byte. Its digits are bounded, so that it is finite and an integer is exact. */

type Phase = 'start' | 'minus' | 'zero' | 'integer' | 'dot' | 'fraction' | 'e' | 'sign' | 'exponent'

export interface NumberState {
  readonly phase: Phase
  readonly digits: number
  readonly isInteger: boolean
}

export const NUMBER_START = {
  number: { phase: 'start', digits: 0, isInteger: false },
  integer: { phase: 'start', digits: 0, isInteger: true },
} as const satisfies Record<string, NumberState>

/** Bytes that may follow each phase, and the phase that they begin or continue. */
const NEXT: Readonly<Record<Phase, readonly (readonly [bytes: string, next: Phase])[]>> = {
  start: [
    ['-', 'minus'],
    ['0', 'zero'],
    ['123456789', 'integer'],
  ],
  minus: [
    ['0', 'zero'],
    ['123456789', 'integer'],
  ],
  zero: [
    ['.', 'dot'],
    ['eE', 'e'],
  ],
  integer: [
    ['0123456789', 'integer'],
    ['.', 'dot'],
    ['eE', 'e'],
  ],
  dot: [['0123456789', 'fraction']],
  fraction: [
    ['0123456789', 'fraction'],
    ['eE', 'e'],
  ],
  e: [
    ['+-', 'sign'],
    ['0123456789', 'exponent'],
  ],
  sign: [['0123456789', 'exponent']],
  exponent: [['0123456789', 'exponent']],
}
const MAX_DIGITS = 15
const MAX_EXPONENT_DIGITS = 2

export function numberEnds({ phase }: NumberState): boolean {
  return phase === 'zero' || phase === 'integer' || phase === 'fraction' || phase === 'exponent'
}

export function stepNumber(state: NumberState, byte: number): NumberState | undefined {
  const { isInteger } = state
  const sign = String.fromCharCode(byte)
  const [, phase] = NEXT[state.phase].find(([bytes]) => bytes.includes(sign)) ?? []
  if (phase === undefined || (isInteger && (phase === 'dot' || phase === 'e'))) return undefined
  const digits = phase === state.phase ? state.digits + 1 : 1
  const most = phase === 'exponent' ? MAX_EXPONENT_DIGITS : MAX_DIGITS
  return digits > most ? undefined : { phase, digits, isInteger }
}
