/** Errors about a kernel's text: with a pointer, the line, and the reason. */
import { AppError, faultsError } from '#shared/base/errors.ts'
import { BUDGET_RULE } from '#shared/kernels/rules.ts'

export interface SourcePosition {
  readonly source: string
  readonly start: number
}

/** @param position undefined when the whole kernel is at fault */
export function refuse(
  code: 'too_large' | 'invalid_request',
  position: SourcePosition | undefined,
  detail: string,
): AppError {
  const text = position === undefined ? detail : `line ${lineOf(position)}: ${detail}`
  return faultsError([{ pointer: '/kernel/wgsl', detail: text }], code)
}

export function lineOf({ source, start }: SourcePosition): number {
  return countBreaks(source.slice(0, start)) + 1
}

// https://www.w3.org/TR/WGSL/#blankspace-and-line-breaks
const LINE_BREAK = /\r\n|[\n\v\f\r\u0085\u2028\u2029]/g

export function countBreaks(text: string): number {
  return text.match(LINE_BREAK)?.length ?? 0
}

/** Refuses more than this node grants now. Another node may grant it, or this one after a new measurement. */
export function tooMuch(what: string, remedy = 'give it less to do in one dispatch'): AppError {
  const detail = `${what}; ${remedy}`
  return new AppError('no_capacity', `The kernel ran out of its budget here: ${detail}.`, {
    meta: { rule: BUDGET_RULE, errors: [{ pointer: '/kernel/wgsl', detail }] },
  })
}
