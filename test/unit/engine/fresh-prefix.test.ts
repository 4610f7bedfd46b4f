/** The prefix of the meter's names is unused in the kernel. */
import { expect, test } from 'vitest'
import { freshPrefix } from '#engine/kernels/rewrite/fresh-prefix.ts'

test('[U4] the prefix is the first one that no name in the kernel begins with', () => {
  expect(freshPrefix(new Set(['main', 'littoral', 'littoral0', 'my_littoral0_left']))).toBe(
    'littoral0',
  )
  expect(freshPrefix(new Set(['littoral0_left', 'littoral1_', 'littoral3_out']))).toBe('littoral2')
})

test('[U3] finding a prefix takes linear time, even when names use one prefix after another', () => {
  const hostile = new Set(Array.from({ length: 200_000 }, (_, i) => `littoral${i}_left`))
  expect(freshPrefix(hostile)).toBe('littoral200000')
})
