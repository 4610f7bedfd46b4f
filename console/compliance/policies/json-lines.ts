/** Finds the line of a JSON text that a JSON pointer points to, to show a fault there. Pure. */

/** Counts lines from 1. A pointer to nothing gives the line of the nearest value around it. */
export function lineOfPointer(text: string, pointer: string): number {
  const starts = valueStarts(text)
  for (let path = pointer; ; path = path.slice(0, path.lastIndexOf('/'))) {
    const start = starts.get(path)
    if (start !== undefined) return text.slice(0, start).split('\n').length
    if (path === '') return 1
  }
}

/** Finds the line of a syntax fault; undefined for valid JSON. */
export function lineOfSyntaxFault(text: string): { line: number; detail: string } | undefined {
  try {
    JSON.parse(text)
    return undefined
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error)
    const position = /position (\d+)/.exec(detail)?.[1]
    const before = position === undefined ? text : text.slice(0, Number(position))
    return { line: before.split('\n').length, detail }
  }
}

interface Level {
  readonly path: string
  readonly isArray: boolean
  index: number
  key: string
}

/** Maps each pointer to the offset of its value. The text must be JSON. */
function valueStarts(text: string): Map<string, number> {
  const starts = new Map<string, number>()
  const levels: Level[] = []
  const token = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g
  let isKey = false
  for (const match of text.matchAll(token)) {
    const [word] = match
    const level = levels.at(-1)
    if (word === '}' || word === ']') levels.pop()
    else if (word === ',') {
      if (level?.isArray === true) level.index += 1
      else isKey = true
    } else if (word === ':') isKey = false
    else if (isKey && level !== undefined)
      level.key = String(JSON.parse(word)).replaceAll('~', '~0').replaceAll('/', '~1')
    else {
      const path =
        level === undefined ? '' : `${level.path}/${level.isArray ? level.index : level.key}`
      starts.set(path, match.index)
      if (word !== '{' && word !== '[') continue
      levels.push({ path, isArray: word === '[', index: 0, key: '' })
      isKey = word === '{'
    }
    if (word === '}' || word === ']') isKey = false
  }
  return starts
}
