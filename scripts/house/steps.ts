/** Adds a call to the start of every function of a source file, which reports the file. */
import { parseSync } from 'vite'

/** Name of the global function that is called with the file's path. */
export const STEP = '__enter'

interface AstNode {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly body?: unknown
}

/** @param path the path that is reported */
export function addSteps(path: string, text: string): string {
  const step = `globalThis.${STEP}?.(${JSON.stringify(path)})`
  const inserts: { at: number; text: string }[] = []
  walk(parseSync(path, text).program, (node) => {
    if (!/^(?:FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type))
      return
    const { body } = node
    if (!isNode(body)) return
    if (body.type === 'BlockStatement' || body.type === 'FunctionBody')
      inserts.push({ at: body.start + 1, text: `${step};` })
    else inserts.push({ at: body.start, text: `(${step}, ` }, { at: body.end, text: ')' })
  })
  let stepped = text
  for (const insert of inserts.toSorted((a, b) => b.at - a.at))
    stepped = stepped.slice(0, insert.at) + insert.text + stepped.slice(insert.at)
  return stepped
}

function walk(value: unknown, visit: (node: AstNode) => void): void {
  if (Array.isArray(value)) for (const item of value) walk(item, visit)
  if (!isNode(value)) return
  visit(value)
  for (const child of Object.values(value)) if (typeof child === 'object') walk(child, visit)
}

function isNode(value: unknown): value is AstNode {
  return typeof value === 'object' && value !== null && 'type' in value && 'start' in value
}
