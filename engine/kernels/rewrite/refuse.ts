/** How a kernel is refused: with the pointer to its text, and the reason in words. */
import { AppError } from '#shared/errors.ts'

export function refuse(code: 'too_large' | 'invalid_request', detail: string): AppError {
  return new AppError(code, `/kernel/wgsl: ${detail}.`, {
    meta: { errors: [{ pointer: '/kernel/wgsl', detail }] },
  })
}
