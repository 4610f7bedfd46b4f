/** Whose doing it is that a job is not done. */
import { expect, test } from 'vitest'
import { failureOf } from '#node-core/job-failure.ts'
import { AppError, ERRORS, type ErrorCode } from '#shared/base/errors.ts'

test('what a customer asked for in vain is no fault of the device, and what the device could not do is', () => {
  const whose = (code: ErrorCode) => failureOf(new AppError(code, 'x')).whose
  for (const code of ['invalid_request', 'too_large', 'cancelled', 'forbidden'] as const)
    expect(whose(code)).toBe('customer')
  for (const code of [
    'internal',
    'node_lost',
    'node_timeout',
    'no_capacity',
    'file_corrupt',
  ] as const)
    expect(whose(code)).toBe('node')
  for (const code of Object.keys(ERRORS) as ErrorCode[])
    expect(['customer', 'node']).toContain(whose(code))
})
