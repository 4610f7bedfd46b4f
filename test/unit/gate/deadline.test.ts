/** `x-littoral-deadline-ms` as a header value. */
import { describe, expect, it } from 'vitest'
import { toAppError } from '#shared/base/errors.ts'
import { parseDeadline } from '#worker/gate/deadline.ts'

describe('a deadline', () => {
  it.each([
    [undefined, undefined],
    ['1', 1],
    ['250', 250],
    ['60000', 60_000],
  ])('of %s is %s', (header, deadlineMs) => {
    expect(parseDeadline(header)).toBe(deadlineMs)
  })

  it.each(['', '0', '-1', '60001', '1.5', '1e3', ' 5', '0x10', '५', '9'.repeat(400)])(
    'of "%s" is refused with a pointer to its header',
    (header) => {
      try {
        parseDeadline(header)
        expect.unreachable()
      } catch (error) {
        const { code, meta } = toAppError(error)
        expect([code, meta.errors?.[0]?.pointer]).toEqual([
          'invalid_request',
          '/headers/x-littoral-deadline-ms',
        ])
      }
    },
  )
})
