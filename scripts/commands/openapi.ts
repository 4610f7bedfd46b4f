/** Writes `docs/openapi.json` from the schemas that the Worker parses by; part of `npm run generate`. */
import { writeFile } from 'node:fs/promises'
import { generateSpecs } from 'hono-openapi'
import { describeApi } from '#scripts/generate/api-description.ts'
import { problemResponse, TAGS } from '#scripts/generate/describe-operation.ts'
import { createNamedSchemas } from '#scripts/generate/named-schemas.ts'
import { repositoryPath } from '#scripts/base/paths.ts'

/** The description as an object. */
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
          'Edge compute with WebGPU nodes: routed by measured place, held to a jurisdiction, receipted and settled ' +
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
  const text = `${JSON.stringify(await generateOpenApi(), null, 2)}\n`
  await writeFile(repositoryPath('docs/openapi.json'), text)
}

if (import.meta.main) await writeOpenApi()
