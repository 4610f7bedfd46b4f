/** The API description and the Worker's routes agree. */
import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { generateOpenApi } from '#scripts/generate/openapi.ts'
import { repositoryPath } from '#scripts/base/paths.ts'
import { createApp } from '#worker/app.ts'
import { createIsolate } from '#worker/isolate.ts'
import { queryNames } from '#worker/http/known-names.ts'

const Description = z.object({ paths: z.record(z.string(), z.record(z.string(), z.unknown())) })
const Query = z.object({
  parameters: z.array(z.object({ in: z.string(), name: z.string() })).optional(),
})
const Content = z.record(z.string(), z.object({ schema: z.object({ $ref: z.string() }) }))
const Answer = z.union([z.object({ content: Content }), z.object({ $ref: z.string() })])
const Operation = z.object({
  operationId: z.string(),
  requestBody: z.object({ content: Content }).optional(),
  responses: z.record(z.string(), Answer),
})

function contentOf(operation: unknown): z.infer<typeof Content> {
  const answer = Operation.parse(operation).responses['200']
  return answer !== undefined && 'content' in answer ? answer.content : {}
}

describe('[A5] docs/openapi.json', () => {
  it('describes every route of the API and no other', async () => {
    const { paths } = Description.parse(await generateOpenApi())
    const described = Object.entries(paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    )
    const served = createApp(createIsolate())
      .routes.filter(({ method, path }) => method !== 'ALL' && /^\/v[12]/.test(path))
      // The protocol's spelling of the same route, which the description omits.
      .filter(({ path }) => path !== '/v2/')
      .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`)
    expect(described.toSorted()).toEqual([...new Set(served)].toSorted())
  })

  it('names the members of each query that its route takes, and no other', async () => {
    const { paths } = Description.parse(await generateOpenApi())
    const described = Object.entries(paths).flatMap(([path, operations]) =>
      Object.entries(operations).flatMap(([method, operation]) =>
        (Query.parse(operation).parameters ?? []).flatMap(({ in: place, name }) =>
          place === 'query' ? [`${method.toUpperCase()} ${path} ${name}`] : [],
        ),
      ),
    )
    const taken = createApp(createIsolate()).routes.flatMap(({ method, path, handler }) =>
      queryNames(handler).map((name) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')} ${name}`),
    )
    expect(described.toSorted()).toEqual(taken.toSorted())
  })

  it('has one id for each operation, and a named schema for each body and reply', async () => {
    const { paths } = Description.parse(await generateOpenApi())
    const all = Object.values(paths).flatMap((methods) => Object.values(methods))
    const operations = all.map((operation) => Operation.parse(operation))
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(all.length)
    const mediaOf = (path: string) => Object.keys(contentOf(paths[path]?.['get']))
    expect(mediaOf('/v1/audit/export')).toEqual(['application/x-ndjson', 'text/csv'])
    expect(mediaOf('/v1/jobs/{id}/events')).toEqual(['text/event-stream'])
    expect(contentOf(paths['/v1/chat/completions']?.['post'])).toEqual({
      'application/json': { schema: { $ref: '#/components/schemas/ChatCompletion' } },
    })
  })

  it('is up to date', async () => {
    const committed: unknown = JSON.parse(
      await readFile(repositoryPath('docs/openapi.json'), 'utf8'),
    )
    expect(committed).toEqual(JSON.parse(JSON.stringify(await generateOpenApi())))
  })
})
