/** Creates elements with attributes, listeners and children in one call. It never parses HTML. */

export type Child = Node | string | number | null | undefined | false | readonly Child[]

type Value = string | number | boolean | undefined | ((event: Event) => void)
export type Props = Readonly<Record<string, Value>>

/** Functions become listeners (`onclick`); `true` becomes an empty attribute; `false` and `undefined` become none. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag)
  setProps(element, props)
  append(element, children)
  return element
}

const SVG = 'http://www.w3.org/2000/svg'

export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: readonly Child[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS(SVG, tag)
  setProps(element, props)
  append(element, children)
  return element
}

export function append(parent: Element, children: readonly Child[]): void {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue
    if (isList(child)) append(parent, child)
    else parent.append(child instanceof Node ? child : String(child))
  }
}

export function replace(parent: Element, ...children: readonly Child[]): void {
  parent.replaceChildren()
  append(parent, children)
}

function isList(child: Child): child is readonly Child[] {
  return Array.isArray(child)
}

function setProps(element: Element, props: Props): void {
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === false) continue
    if (typeof value === 'function') element.addEventListener(name.slice(2), value)
    else if (name === 'value' && isControl(element)) element.value = String(value)
    else element.setAttribute(name, value === true ? '' : String(value))
  }
}

function isControl(
  element: Element,
): element is HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement {
  return (
    element instanceof HTMLInputElement ||
    element instanceof HTMLTextAreaElement ||
    element instanceof HTMLSelectElement
  )
}
