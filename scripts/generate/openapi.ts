/** Writes `docs/openapi.json` from the schemas that the Worker parses requests with. */
import { writeFile } from 'node:fs/promises'
import { generateSpecs } from 'hono-openapi'
import { repositoryPath } from '#scripts/base/paths.ts'
import { describeApi } from './api-description.ts'
import { problemResponse, TAGS } from './describe-operation.ts'
import { createNamedSchemas } from './named-schemas.ts'

export async function generateOpenApi() {
  const schemas = createNamedSchemas()
  const api = describeApi(schemas)
  const problem = problemResponse(schemas)
  return generateSpecs(api, {
    documentation: {
      info: {
        title: 'Littoral',
        version: '0.1.0',
        description:
          'Edge compute on WebGPU nodes: routed by measured place, restricted to a jurisdiction, receipted and settled ' +
          'on-chain. OpenAI’s chat, completions and embeddings, the Open Inference Protocol v2, WGSL kernels, batches.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: '/', description: 'This origin' }],
      tags: [...TAGS],
      components: {
        schemas: await schemas.components(),
        responses: { Problem: problem },
        securitySchemes: {
          key: { type: 'http', scheme: 'bearer', description: 'API key: lit_<tenant>_<48 hex>' },
          operator: { type: 'http', scheme: 'bearer', description: 'OPERATOR_KEY' },
        },
      },
    },
  })
}

export async function writeOpenApi(): Promise<void> {
  const text = JSON.stringify(await generateOpenApi(), null, 2)
  await writeFile(repositoryPath('docs/openapi.json'), `${text}\n`)
}
