/** W3C trace context, level 1: what is adopted, ignored and passed on. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { randomBytes } from '#shared/base/ids.ts'
import { childContext, formatTraceparent, parseTraceparent } from '#worker/http/trace-context.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const PARENT = 'b7ad6b7169203331'
const hex = (length: number) =>
  fc
    .array(fc.constantFrom(...'0123456789abcdef'.split('')), {
      minLength: length,
      maxLength: length,
    })
    .map((digits) => digits.join(''))
const id = (length: number) => hex(length).filter((text) => !/^0+$/.test(text))
const child = (header: string | undefined) => childContext(header, randomBytes)

describe('[X1] a valid traceparent', () => {
  it('gives its trace to a new span, and keeps only the sampled flag', () => {
    fc.assert(
      fc.property(id(32), id(16), hex(2), (traceId, parentId, flags) => {
        const context = child(`00-${traceId}-${parentId}-${flags}`)
        expect(context.traceId).toBe(traceId)
        expect(context.parentId).not.toBe(parentId)
        expect(context.isSampled).toBe((Number.parseInt(flags, 16) & 1) === 1)
        const next = formatTraceparent(context)
        expect(next).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/)
        expect(parseTraceparent(next)).toEqual(context)
      }),
    )
  })

  it('is read by its first four fields in later versions', () => {
    const later = fc.constantFrom('01', 'cc', 'fe')
    fc.assert(
      fc.property(later, fc.constantFrom('', '-', '-what-the-future', '-09'), (version, rest) => {
        const parsed = parseTraceparent(`${version}-${TRACE}-${PARENT}-01${rest}`)
        expect(parsed).toEqual({ traceId: TRACE, parentId: PARENT, isSampled: true })
      }),
    )
  })
})

describe('[X2] an invalid traceparent', () => {
  const good = `00-${TRACE}-${PARENT}-01`

  it.each([
    ['nothing', ''],
    ['version ff', `ff-${TRACE}-${PARENT}-01`],
    ['a version of one digit', `0-${TRACE}-${PARENT}-01`],
    ['a version that is no hex', `.0-${TRACE}-${PARENT}-01`],
    ['an all-zero trace', `00-${'0'.repeat(32)}-${PARENT}-01`],
    ['an all-zero parent', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['upper case', good.toUpperCase()],
    ['a short trace', `00-${TRACE.slice(1)}-${PARENT}-01`],
    ['a long trace', `00-${TRACE}0-${PARENT}-01`],
    ['a short parent', `00-${TRACE}-${PARENT.slice(1)}-01`],
    ['flags of one digit', `00-${TRACE}-${PARENT}-1`],
    ['flags that are no hex', `00-${TRACE}-${PARENT}-x1`],
    ['more fields in version 00', `${good}-00`],
    ['more digits after the flags of a later version', `cc-${TRACE}-${PARENT}-010`],
    ['blanks around it', ` ${good} `],
    ['two headers joined', `${good}, ${good}`],
    ['other separators', good.replaceAll('-', '_')],
  ])('for %s begins a new trace, not sampled', (_, header) => {
    expect(parseTraceparent(header)).toBeUndefined()
    expect(child(header).isSampled).toBe(false)
    expect(child(header).traceId).not.toBe(TRACE)
  })

  it('is recognised by one wrong character anywhere', () => {
    const at = fc.integer({ min: 0, max: good.length - 1 })
    fc.assert(
      fc.property(at, fc.constantFrom('G', 'z', ' ', '_', 'A', '%', '\n', 'é'), (index, wrong) => {
        const broken = good.slice(0, index) + wrong + good.slice(index + 1)
        expect(parseTraceparent(broken)).toBeUndefined()
      }),
    )
  })

  it('is only ignored, for any input', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (header) => {
        expect(formatTraceparent(child(header))).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/)
      }),
    )
  })

  it('leads to fresh ids that are never zero', () => {
    expect(child(undefined).traceId).not.toBe(child(undefined).traceId)
    const zeroes = childContext(undefined, (size) => new Uint8Array(size))
    expect(parseTraceparent(formatTraceparent(zeroes))).toEqual(zeroes)
  })
})
