/** Writes `docs/openapi.json` from the schemas that the Worker parses by; part of `npm run generate`. */
import { writeFile } from 'node:fs/promises'
import { generateSpecs } from 'hono-openapi'
import { describeApi, PROBLEM_RESPONSE } from './lib/api-description.ts'
import { repositoryPath } from './lib/paths.ts'

/** The description as an object. */
export function generateOpenApi() {
  return generateSpecs(describeApi(), {
    documentation: {
      info: {
        title: 'Littoral',
        version: '0.1.0',
        description:
          'Edge compute with WebGPU nodes: routed by measured place, held to a jurisdiction, receipted and settled ' +
          'on-chain. Open Inference Protocol v2, the embeddings of OpenAI, and WGSL kernels.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      components: {
        responses: { Problem: PROBLEM_RESPONSE },
        securitySchemes: {
          key: { type: 'http', scheme: 'bearer', description: 'API key: lit_<tenant>_<32 hex>' },
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
