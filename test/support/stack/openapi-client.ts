/** A client made from an OpenAPI document: one function for each operation, whose bodies are checked against the schemas. */
import { z } from 'zod'

const Content = z.record(z.string(), z.object({ schema: z.unknown() })).optional()
const Operation = z.object({
  operationId: z.string(),
  requestBody: z.object({ content: Content }).optional(),
  responses: z.record(z.string(), z.object({ content: Content })),
})
const Document = z.object({
  paths: z.record(z.string(), z.record(z.string(), z.unknown())),
  components: z.object({ schemas: z.record(z.string(), z.unknown()) }),
})

export interface OperationCall {
  readonly path?: Readonly<Record<string, string>>
  readonly body?: unknown
}

export interface OperationReply {
  readonly status: number
  /** The parsed body; undefined where the document has no schema for the status. */
  readonly body: unknown
}

export type OpenApiClient = Readonly<
  Record<string, (call?: OperationCall) => Promise<OperationReply>>
>

export function createOpenApiClient(
  document: unknown,
  server: { readonly url: string; readonly key: string },
): OpenApiClient {
  const { paths, components } = Document.parse(document)
  const toSchema = (content: z.infer<typeof Content>) => {
    const schema = content?.['application/json']?.schema
    if (schema === undefined) return undefined
    // References start at the document's root, so each schema gets the components as definitions.
    const rooted = JSON.parse(
      JSON.stringify({ ...(schema as object), $defs: components.schemas }).replaceAll(
        '#/components/schemas/',
        '#/$defs/',
      ),
    ) as Parameters<typeof z.fromJSONSchema>[0]
    return z.fromJSONSchema(rooted)
  }
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    ['get', 'post'].flatMap((method) => {
      if (methods[method] === undefined) return []
      const operation = Operation.parse(methods[method])
      const bodySchema = toSchema(operation.requestBody?.content)
      const call = async ({ path: values = {}, body }: OperationCall = {}) => {
        const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
          encodeURIComponent(values[name] ?? ''),
        )
        const response = await fetch(`${server.url}${filled}`, {
          method: method.toUpperCase(),
          headers: {
            authorization: `Bearer ${server.key}`,
            ...(bodySchema === undefined ? {} : { 'content-type': 'application/json' }),
          },
          ...(bodySchema === undefined ? {} : { body: JSON.stringify(bodySchema.parse(body)) }),
        })
        const reply: unknown = await response.json()
        const replySchema = toSchema(operation.responses[String(response.status)]?.content)
        return { status: response.status, body: replySchema?.parse(reply) }
      }
      return [[operation.operationId, call] as const]
    }),
  )
  return Object.fromEntries(operations)
}
