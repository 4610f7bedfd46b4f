/** Reports faults in a request, each with a JSON pointer to the value (RFC 6901). */
import type { z } from 'zod'
import { AppError, type ErrorCode, type FieldFault } from '#shared/base/errors.ts'
import { withoutNulls } from './absent.ts'
import { describeIssue } from './issues.ts'
import { nearestName, notKnown } from './near-names.ts'

const FAULTS_SHOWN = 16

export function invalidRequest(faults: readonly FieldFault[]): AppError {
  const shown = faults.slice(0, FAULTS_SHOWN)
  const detail = shown.map((f) => `${f.pointer || '/'}: ${f.detail}`).join('; ')
  return new AppError('invalid_request', detail, { meta: { errors: shown } })
}

/** An invalid_request with one fault. */
export function invalidAt(pointer: string, detail: string): AppError {
  return refuseAt('invalid_request', pointer, detail)
}

export function tooLarge(pointer: string, detail: string): AppError {
  return refuseAt('too_large', pointer, detail)
}

export function refuseAt(code: ErrorCode, pointer: string, detail: string): AppError {
  return new AppError(code, `${pointer}: ${detail}`, { meta: { errors: [{ pointer, detail }] } })
}

/**
 * Parses a body, where null means absent (`absent.ts`).
 * @param base prefix of each pointer, for a part of a body
 * @throws {AppError} invalid_request with one fault for each issue
 */
export function parseBody<T>(schema: z.ZodType<T>, body: unknown, base = ''): T {
  const result = schema.safeParse(withoutNulls(schema, body), { error: describeIssue })
  if (result.success) return result.data
  throw invalidRequest(
    result.error.issues.flatMap((issue) => {
      const pointer = `${base}${toPointer(issue.path)}`
      if (issue.code !== 'unrecognized_keys') return [{ pointer, detail: issue.message }]
      const known =
        issue.path.length === 0 && 'shape' in schema ? Object.keys(schema.shape as object) : []
      return issue.keys.map((key) => ({
        pointer: `${pointer}${toPointer([key])}`,
        detail: notKnown(nearestName(key, known)),
      }))
    }),
  )
}

export function toPointer(path: readonly PropertyKey[]): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}
