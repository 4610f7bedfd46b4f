/** What an answer must look like, token by token. */
import { AppError } from '#shared/errors.ts'
import type { TextInput } from '#shared/text.ts'
import type { Sampling } from './sample.ts'

/** Follows one text as it is written. */
export interface Constraint {
  /** A token that may come next; an end token only where the text may end. @throws {AppError} internal when none may */
  choose(logits: Float32Array, sampling: Sampling): number
  accept(id: number): void
  /** True when nothing may follow. */
  readonly isDone: boolean
}

/** @throws {AppError} invalid_request for a format that cannot be kept */
export type ConstraintFactory = (input: TextInput) => Constraint | undefined

export function createConstraints(): ConstraintFactory {
  return ({ format }) => {
    if (format.type === 'text') return undefined
    throw new AppError('invalid_request', `/format/type: ${format.type} is not yet known here`)
  }
}
