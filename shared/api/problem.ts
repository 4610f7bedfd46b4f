/** The body of every error. */
import { z } from 'zod'
import { ERRORS, type ErrorCode } from '#shared/base/errors.ts'

/** RFC 9457 with an `error` member: OpenAI's object or, below `/v2`, the Open Inference Protocol's text. */
export const ProblemReply = z.object({
  type: z.url(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.enum(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]),
  requestId: z.string(),
  /** The residency rule that refused. */
  rule: z.string().optional(),
  /** The condition that would satisfy the rule, in words. */
  needed: z.string().optional(),
  errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
  error: z.union([
    z.string(),
    z.object({
      message: z.string(),
      type: z.string(),
      code: z.string(),
      /** Where the first fault is, like `messages[0].content`. */
      param: z.string().nullable(),
      rule: z.string().optional(),
      needed: z.string().optional(),
    }),
  ]),
})
