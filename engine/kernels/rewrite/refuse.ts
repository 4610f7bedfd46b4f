/** How a kernel is refused: with the pointer to its text, the line, and the reason in words. */
import { AppError } from '#shared/errors.ts'
import { countLines } from '../parse/tokens.ts'

/** A place in a kernel's text. */
export interface Place {
  readonly source: string
  readonly start: number
}

/** @param place undefined where no line is at fault, but the whole */
export function refuse(
  code: 'too_large' | 'invalid_request',
  place: Place | undefined,
  detail: string,
): AppError {
  const text = place === undefined ? detail : `line ${lineOf(place)}: ${detail}`
  return new AppError(code, `/kernel/wgsl: ${text}.`, {
    meta: { errors: [{ pointer: '/kernel/wgsl', detail: text }] },
  })
}

export function lineOf({ source, start }: Place): number {
  return countLines(source, 0, start) + 1
}
