/** WGSL literals: https://www.w3.org/TR/WGSL/#literals */
import { bool, float, integer, uncomputed, type FloatKind, type Value } from './values.ts'

const INTEGER = /^(0[xX][0-9a-fA-F]+|[0-9]+)([iu]?)$/
const DECIMAL = /^((?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)([fh]?)$/
const HEX = /^0[xX]([0-9a-fA-F]*)\.?([0-9a-fA-F]*)(?:[pP]([+-]?[0-9]+))?([fh]?)$/
const KINDS: Readonly<Record<string, FloatKind>> = { f: 'f32', h: 'f16' }

/** @throws {Uncomputed} for text that is not a literal or does not fit its type */
export function parseLiteral(text: string): Value {
  if (text === 'true' || text === 'false') return bool(text === 'true')
  const whole = INTEGER.exec(text)
  if (whole !== null) {
    const kind = whole[2] === 'u' ? 'u32' : whole[2] === 'i' ? 'i32' : 'int'
    const value = BigInt(whole[1] ?? '0')
    const made = integer(kind, value)
    return made.value === value ? made : uncomputed(`${text} does not fit ${kind}`)
  }
  const decimal = DECIMAL.exec(text)
  if (decimal !== null) return float(KINDS[decimal[2] ?? ''] ?? 'float', Number(decimal[1]))
  const hex = HEX.exec(text)
  if (hex === null) return uncomputed(`${text} is not a number`)
  const [, before = '', after = '', exponent = '0', suffix = ''] = hex
  const digits = Number(`0x${before}${after}0`) / 16
  return float(KINDS[suffix] ?? 'float', digits * 2 ** (Number(exponent) - 4 * after.length))
}
