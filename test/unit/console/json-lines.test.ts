import { describe, expect, it } from 'vitest'
import {
  lineOfPointer,
  lineOfSyntaxFault,
} from '../../../console/compliance/policies/json-lines.ts'

const compute = { allow: ['EU', 'MARS'], deny: [] }
const DOCUMENT = { id: 'eu', compute, 'a/b~c': [{ x: { y: 1 } }], last: null }
const TEXT = JSON.stringify(DOCUMENT, null, 2)

describe('the line of a JSON pointer', () => {
  it.each([
    ['', 1],
    ['/id', 2],
    ['/compute', 3],
    ['/compute/allow/0', 5],
    ['/compute/allow/1', 6],
    ['/compute/deny', 8],
    ['/a~1b~0c/0/x/y', 13],
    ['/last', 17],
  ])('%s is line %i', (pointer, line) => {
    expect(lineOfPointer(TEXT, pointer)).toBe(line)
  })

  it('is that of the nearest enclosing value when the text lacks the value', () => {
    expect(lineOfPointer(TEXT, '/compute/allow/7')).toBe(4)
    expect(lineOfPointer(TEXT, '/nowhere/at/all')).toBe(1)
  })

  it('is found in text on one line, with colons and braces inside strings', () => {
    expect(lineOfPointer('{"a":"{\\"b\\":[,]}",\n"c":[1,\n2]}', '/c/1')).toBe(3)
  })
})

describe('text that is no JSON', () => {
  it('is reported at the line where it stops being JSON', () => {
    expect(lineOfSyntaxFault('{\n  "a": 1,\n  oops\n}')?.line).toBe(3)
    expect(lineOfSyntaxFault('{"a": 1}')).toBeUndefined()
  })
})
