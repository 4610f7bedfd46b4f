/**
 * Checks of values that came as JSON, for the few forms that nearly all of them have. They cost a fraction of a schema,
 * and decide nothing alone: the schema decides about every value that does not have such a form.
 */
import type { z } from 'zod'

/** The part of a schema that reads a value. */
export type Schema<T> = Pick<z.ZodType<T>, 'safeParse'>

/**
 * A schema that is passed over for values of a usual form.
 * @param isUsual true only for values that the schema accepts and leaves as they are
 */
export function quickly<T>(isUsual: Test, schema: Schema<T>): Schema<T> {
  return {
    safeParse: (value, params) =>
      isUsual(value) ? { success: true, data: value as T } : schema.safeParse(value, params),
  }
}

export type Test = (value: unknown) => boolean
type Members = Readonly<Record<string, unknown>>

export const matches =
  (pattern: RegExp): Test =>
  (value) =>
    typeof value === 'string' && pattern.test(value)
export const text =
  (least: number, most: number): Test =>
  (value) =>
    typeof value === 'string' && value.length >= least && value.length <= most
export const whole =
  (least: number, most: number = Number.MAX_SAFE_INTEGER): Test =>
  (value) =>
    Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most
export const oneOf =
  (words: readonly string[]): Test =>
  (value) =>
    typeof value === 'string' && words.includes(value)
export const orNull =
  (test: Test): Test =>
  (value) =>
    value === null || test(value)
export const list =
  (test: Test, least: number, most: number): Test =>
  (value) =>
    Array.isArray(value) && value.length >= least && value.length <= most && value.every(test)
export const flag: Test = (value) => typeof value === 'boolean'

/** An object with exactly these members. Those of `optional` may be missing. */
export function members(
  tests: Readonly<Record<string, Test>>,
  optional: Readonly<Record<string, Test>> = {},
): Test {
  const needed = Object.entries(tests)
  const others = Object.entries(optional)
  return (value) => {
    if (typeof value !== 'object' || value === null) return false
    const given = value as Members
    let count = needed.length
    for (const [name, test] of needed) if (!test(given[name])) return false
    for (const [name, test] of others) {
      if (given[name] === undefined) continue
      if (!test(given[name])) return false
      count += 1
    }
    return Object.keys(given).length === count
  }
}

/** 32 bytes in hex. */
export const word = matches(/^0x[0-9a-f]{64}$/)
