/** Ids of jobs. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import { JobId, newJobId } from '#shared/base/ids.ts'

afterEach(() => void vi.useRealTimers())

describe('a job’s id', () => {
  it('follows every id of an earlier time in the order of an index, until the year 10889', () => {
    vi.useFakeTimers()
    const times = [0, 1, 255, 256, 1_800_000_000_000, 1_800_000_000_001, 281_474_976_710_655]
    const ids = times.map((time) => {
      vi.setSystemTime(time)
      return newJobId(() => new Uint8Array(10).fill(time % 256))
    })
    expect(ids).toEqual(ids.toSorted())
    expect(ids.map((id) => JobId.safeParse(id).success)).toEqual(times.map(() => true))
  })

  it('differs from others of the same time', () => {
    const ids = Array.from({ length: 1_000 }, () => newJobId())
    expect(new Set(ids).size).toBe(1_000)
  })
})
