/** A repetition is long enough for the kernel's count of CPU time. */
import { expect, test } from 'vitest'
import {
  CALLS_BETWEEN,
  CALLS_UNCOUNTED,
  LEAST_CPU_MS,
  repeat,
} from '../../../bench/dispatch/repetition.ts'

test('calls go on until the processes have used enough CPU time, and all of it is counted', async () => {
  let made = 0
  const lanes = new Set<number>()
  const { calls, cpuMs } = await repeat(
    {
      inFlight: 4,
      pids: [1, 2],
      once: (lane) => {
        lanes.add(lane)
        made += 1
        return Promise.resolve(made)
      },
    },
    // A fifth of a millisecond a call.
    (pids) => (pids.length === 2 ? 70 + made / 5 : undefined),
  )
  expect(cpuMs).toBeGreaterThanOrEqual(LEAST_CPU_MS)
  expect(calls.length).toBe(made)
  expect(made).toBeLessThan(5 * LEAST_CPU_MS + CALLS_BETWEEN + 4)
  expect(lanes).toEqual(new Set([0, 1, 2, 3]))
})

test('without a count a repetition ends after a fixed number of calls', async () => {
  const { calls, cpuMs } = await repeat(
    { inFlight: 1, pids: [1], once: () => Promise.resolve() },
    () => undefined,
  )
  expect(cpuMs).toBe(undefined)
  expect(calls.length).toBe(CALLS_UNCOUNTED)
})

test('a call that fails ends the repetition with its error', async () => {
  const once = () => Promise.reject(new Error('lost'))
  await expect(repeat({ inFlight: 2, pids: [1], once }, () => 0)).rejects.toThrow('lost')
})
