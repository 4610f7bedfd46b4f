import { expect, test } from 'vitest'
import { JobId, newJobId } from '#shared/base/ids.ts'

test('a new job id has the form of one, and all of its random bytes', () => {
  const bytes = new Uint8Array(16).map((_, at) => at)
  expect(newJobId(() => bytes)).toBe('job_000102030405060708090a0b0c0d0e0f')
  expect(JobId.safeParse(newJobId()).success).toBe(true)
})
