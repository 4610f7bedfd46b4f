/** The part of an OpenAPI 3.1 document that the API's page shows. */
import { z } from 'zod'

/** The part of a JSON Schema that the page shows. */
export const Schema = z.looseObject({
  $ref: z.string().optional(),
  title: z.string().optional(),
  description: z.string().optional(),
  type: z.union([z.string(), z.array(z.string())]).optional(),
  format: z.string().optional(),
  const: z.unknown().optional(),
  enum: z.array(z.unknown()).optional(),
  default: z.unknown().optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  minLength: z.number().optional(),
  maxLength: z.number().optional(),
  minItems: z.number().optional(),
  maxItems: z.number().optional(),
  required: z.array(z.string()).optional(),
  get properties() {
    return z.record(z.string(), Schema).optional()
  },
  get items() {
    return z.union([z.boolean(), Schema]).optional()
  },
  get prefixItems() {
    return z.array(Schema).optional()
  },
  get additionalProperties() {
    return z.union([z.boolean(), Schema]).optional()
  },
  get anyOf() {
    return z.array(Schema).optional()
  },
  get oneOf() {
    return z.array(Schema).optional()
  },
  get allOf() {
    return z.array(Schema).optional()
  },
})
export type Schema = z.infer<typeof Schema>

const Content = z.record(z.string(), z.looseObject({ schema: Schema.optional() }))

const Parameter = z.looseObject({
  in: z.enum(['path', 'query', 'header', 'cookie']),
  name: z.string(),
  required: z.boolean().default(false),
  description: z.string().default(''),
  schema: Schema.default({}),
})
export type Parameter = z.infer<typeof Parameter>

const Response = z.looseObject({
  $ref: z.string().optional(),
  description: z.string().default(''),
  headers: z.record(z.string(), z.looseObject({ description: z.string().default('') })).default({}),
  content: Content.default({}),
  'x-other-media': Content.default({}),
})
export type Response = z.infer<typeof Response>

export const Operation = z.looseObject({
  operationId: z.string(),
  summary: z.string().default(''),
  description: z.string().default(''),
  tags: z.array(z.string()).min(1),
  security: z.array(z.record(z.string(), z.unknown())).default([]),
  parameters: z.array(Parameter).default([]),
  requestBody: z.looseObject({ content: Content }).optional(),
  responses: z.record(z.string(), Response),
})
export type Operation = z.infer<typeof Operation>

export const Description = z.looseObject({
  tags: z.array(z.looseObject({ name: z.string(), description: z.string().default('') })),
  paths: z.record(z.string(), z.record(z.string(), Operation)),
  components: z
    .looseObject({
      schemas: z.record(z.string(), Schema).default({}),
      responses: z.record(z.string(), Response).default({}),
    })
    .default({ schemas: {}, responses: {} }),
})
export type Description = z.infer<typeof Description>
