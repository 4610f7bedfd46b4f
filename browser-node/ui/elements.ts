/** Finds the page's elements by their test ids. */
import { invariant } from '#shared/base/errors.ts'

export function element<T extends Element>(testId: string, type: abstract new () => T): T {
  const found = document.querySelector(`[data-testid="${testId}"]`)
  invariant(found instanceof type, `the page has an element ${testId}`)
  return found
}

/** Writes only changes, so that screen readers announce a text once and selections stay. */
export function setText(target: Element, text: string): void {
  if (target.textContent !== text) target.textContent = text
}
