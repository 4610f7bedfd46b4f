/** The meter's own names beside those that a kernel has. */
import { expect, test } from 'vitest'
import { freshPrefix } from '#engine/kernels/rewrite/fresh-prefix.ts'

test('[U4] the first prefix that no name of the kernel begins with is taken', () => {
  expect(freshPrefix(new Set(['main', 'littoral', 'littoral0', 'my_littoral0_left']))).toBe(
    'littoral0',
  )
  expect(freshPrefix(new Set(['littoral0_left', 'littoral1_', 'littoral3_out']))).toBe('littoral2')
})

test('[U3] names that take prefix after prefix cost time in proportion to their number', () => {
  const hostile = new Set(Array.from({ length: 200_000 }, (_, i) => `littoral${i}_left`))
  expect(freshPrefix(hostile)).toBe('littoral200000')
})
