/** Finds members that a schema does not have. */
import type { FieldFault } from '#shared/base/errors.ts'
import { toPointer } from './faults.ts'
import { nearestName, notKnown } from './near-names.ts'

/** Returns one fault for each unknown member, except empty ones. */
export function unknownMembers(
  value: object,
  known: readonly string[],
  root: string,
): FieldFault[] {
  return Object.entries(value)
    .filter(([name, each]) => !known.includes(name) && !isNothing(each))
    .map(([name]) => ({
      pointer: `${root}${toPointer([name])}`,
      detail: notKnown(nearestName(name, known)),
    }))
}

/** Tells whether a value has no content: null, or an empty text, list or object. */
export function isNothing(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return true
  return typeof value === 'object' && Object.keys(value).length === 0
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
