/** Members that an object of a request has and its schema does not. */
import type { FieldFault } from '#shared/base/errors.ts'
import { toPointer } from './faults.ts'
import { nearestName, notKnown } from './near-names.ts'

/** One fault for each; those that ask for nothing pass. */
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

/** Null, an empty text, list or object ask for nothing. */
export function isNothing(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return true
  return typeof value === 'object' && Object.keys(value).length === 0
}
