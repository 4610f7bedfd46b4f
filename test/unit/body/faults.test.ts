/** Descriptions of faults in a body, for any schema. */
import { expect, it } from 'vitest'
import { z } from 'zod'
import { refusal } from '#test/support/engine/text-requests.ts'
import { parseBody } from '#worker/body/faults.ts'

const Schema = z.strictObject({
  list: z.array(z.string()).min(1).max(2).default(['a']),
  count: z.int().min(1).max(5).default(1),
  more: z.number().gt(0).multipleOf(2).default(2),
  name: z.string().min(1).max(3).default('a'),
  coded: z.base64().default(''),
  choice: z.enum(['x', 'y']).default('x'),
  either: z.union([z.string(), z.array(z.string())]).default('a'),
  parts: z.union([z.literal(1), z.object({ a: z.int() })]).default(1),
  shape: z.looseObject({ need: z.boolean() }).optional(),
  pattern: z.string().regex(/^a+$/).default('a'),
  own: z.int({ error: 'is told in its own words' }).default(1),
})

it.each<[unknown, string]>([
  [7, '/: must be an object'],
  [{ list: [] }, '/list: must have at least 1 item'],
  [{ list: ['a', 'b', 'c'] }, '/list: must have at most 2 items'],
  [{ list: 'a' }, '/list: must be a list'],
  [{ list: [1] }, '/list/0: must be a text'],
  [{ count: 9 }, '/count: must be at most 5'],
  [{ count: 1.5 }, '/count: must be a whole number'],
  [{ more: 0 }, '/more: must be more than 0'],
  [{ more: 3 }, '/more: must be a multiple of 2'],
  [{ name: '' }, '/name: must have at least 1 character'],
  [{ coded: '*' }, '/coded: must be base64'],
  [{ choice: 'z' }, '/choice: must be "x" or "y"'],
  [{ either: 1 }, '/either: must be a text or a list'],
  [{ parts: 2 }, '/parts: fits none of the allowed forms'],
  [{ shape: {} }, '/shape/need: is missing; it must be true or false'],
  [{ pattern: 'b' }, '/pattern: must match /^a+$/'],
  [{ own: 'a' }, '/own: is told in its own words'],
])('%j is refused with "%s"', (body, detail) => {
  expect(refusal(() => parseBody(Schema, body)).detail).toBe(detail)
})
