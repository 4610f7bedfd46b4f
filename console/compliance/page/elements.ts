/** The page's own elements by their test ids, found once and typed. */
import { invariant } from '#shared/base/errors.ts'

/** @param type the element's class, checked */
export function element<T extends Element>(testId: string, type: abstract new () => T): T {
  const found = document.querySelector(`[data-testid="${testId}"]`)
  invariant(found instanceof type, `the page has an element ${testId}`)
  return found
}
