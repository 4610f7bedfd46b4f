/** An example body for each route that takes one. */
import type { Schema } from './description.ts'

const EMBEDDING = { model: 'littoral-embed-400k', input: ['turn on the kitchen light'] }

/** By operation; other examples are made from the schema. */
const EXAMPLES: Readonly<Record<string, unknown>> = {
  postV1ChatCompletions: {
    model: 'littoral-chat-2m',
    messages: [{ role: 'user', content: 'turn on the kitchen light' }],
  },
  postV1Completions: { model: 'littoral-chat-2m', prompt: 'turn on', max_tokens: 16 },
  postV1Embeddings: EMBEDDING,
  postV1Compute: {
    kernel: 'reduce@1',
    params: { op: 'mean' },
    inputs: [{ name: 'x', datatype: 'FP32', shape: [4], data: [1, 2, 3, 4] }],
  },
  postV2ModelsByModelInfer: {
    inputs: [{ name: 'text', shape: [1], datatype: 'BYTES', data: EMBEDDING.input }],
  },
  postV1Jobs: {
    kernel: 'reduce@1',
    params: { op: 'mean' },
    inputs: [
      { inputs: [{ name: 'x', datatype: 'FP32', shape: [2], data: [1, 2] }] },
      { inputs: [{ name: 'x', datatype: 'FP32', shape: [2], data: [3, 4] }] },
    ],
  },
  putV1PoliciesById: { compute: { allow: ['EEA'] }, dataClass: 'public' },
  postV1PoliciesDryRun: {},
}

export function exampleBody(operationId: string, schema: Schema): string {
  return JSON.stringify(EXAMPLES[operationId] ?? exampleOf(schema), null, 2)
}

/** Fills the required members with a simple value of their type. */
function exampleOf(schema: Schema): unknown {
  if (schema.default !== undefined) return schema.default
  if (schema.const !== undefined) return schema.const
  if (schema.enum !== undefined) return schema.enum[0]
  const [variant] = schema.anyOf ?? schema.oneOf ?? []
  if (variant !== undefined) return exampleOf(variant)
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type
  if (type === 'object') {
    const { properties = {}, required = [] } = schema
    return Object.fromEntries(required.map((name) => [name, exampleOf(properties[name] ?? {})]))
  }
  if (schema.prefixItems !== undefined) return schema.prefixItems.map(exampleOf)
  if (type === 'array') return typeof schema.items === 'object' ? [exampleOf(schema.items)] : []
  if (type === 'integer' || type === 'number') return Math.max(0, schema.minimum ?? 0)
  return type === 'boolean' ? false : ''
}
