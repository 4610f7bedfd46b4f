/** Reads a JSON number byte by byte. Its digits are bounded, so that it is finite and an integer is exact. */

export interface NumberState {
  readonly phase:
    | 'start'
    | 'minus'
    | 'zero'
    | 'integer'
    | 'dot'
    | 'fraction'
    | 'e'
    | 'sign'
    | 'exponent'
  /** Digits of the current phase. */
  readonly digits: number
  readonly isInteger: boolean
}

const MAX_DIGITS = 15
const MAX_EXPONENT_DIGITS = 2

export const NUMBER_START = {
  number: { phase: 'start', digits: 0, isInteger: false },
  integer: { phase: 'start', digits: 0, isInteger: true },
} as const satisfies Record<string, NumberState>

/** Whether the number may end here. */
export function numberEnds({ phase }: NumberState): boolean {
  return phase === 'zero' || phase === 'integer' || phase === 'fraction' || phase === 'exponent'
}

export function stepNumber(state: NumberState, byte: number): NumberState | undefined {
  const { phase, digits, isInteger } = state
  const to = (next: NumberState['phase'], count = 0): NumberState => ({
    phase: next,
    digits: count,
    isInteger,
  })
  const isDigit = byte >= 0x30 && byte <= 0x39
  const more = (next: NumberState['phase'], most: number) =>
    digits < most ? to(next, digits + 1) : undefined
  switch (phase) {
    case 'start':
      if (byte === 0x2d) return to('minus')
      return isDigit ? to(byte === 0x30 ? 'zero' : 'integer', 1) : undefined
    case 'minus':
      return isDigit ? to(byte === 0x30 ? 'zero' : 'integer', 1) : undefined
    case 'zero':
      return isInteger ? undefined : afterInteger(byte, to)
    case 'integer':
      if (isDigit) return more('integer', MAX_DIGITS)
      return isInteger ? undefined : afterInteger(byte, to)
    case 'dot':
      return isDigit ? to('fraction', 1) : undefined
    case 'fraction':
      if (isDigit) return more('fraction', MAX_DIGITS)
      return isExponent(byte) ? to('e') : undefined
    case 'e':
      if (byte === 0x2b || byte === 0x2d) return to('sign')
      return isDigit ? to('exponent', 1) : undefined
    case 'sign':
      return isDigit ? to('exponent', 1) : undefined
    case 'exponent':
      return isDigit ? more('exponent', MAX_EXPONENT_DIGITS) : undefined
  }
}

function afterInteger(
  byte: number,
  to: (phase: NumberState['phase']) => NumberState,
): NumberState | undefined {
  if (byte === 0x2e) return to('dot')
  return isExponent(byte) ? to('e') : undefined
}

function isExponent(byte: number): boolean {
  return byte === 0x65 || byte === 0x45
}
