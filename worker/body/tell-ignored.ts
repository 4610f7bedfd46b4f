/** Sets `x-littoral-ignored`: unknown members of the body that had no effect. */
import type { OpenBody } from './open-body.ts'

export const IGNORED_HEADER = 'x-littoral-ignored'

const NAMES_TOLD = 16
const NAME_CHARS = 64

interface Answer {
  readonly var: { readonly answerHeaders: Map<string, string> }
}

/** @returns the parsed request */
export function tellIgnored<T>(answer: Answer, { request, ignored }: OpenBody<T>): T {
  if (ignored.length === 0) return request
  const told = ignored
    .slice(0, NAMES_TOLD)
    .map((name) => encodeURIComponent(name.slice(0, NAME_CHARS).toWellFormed()))
  const more = ignored.length > NAMES_TOLD ? [`${ignored.length - NAMES_TOLD} more`] : []
  answer.var.answerHeaders.set(IGNORED_HEADER, [...told, ...more].join(', '))
  return request
}
