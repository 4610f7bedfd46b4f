/** Where a model file lies on this machine: in this repository, or in an installed package. */
import { fileURLToPath } from 'node:url'
import type { ModelFile } from '#shared/model.ts'

export function modelFilePath({ sources }: Pick<ModelFile, 'sources'>): string {
  const [source = ''] = sources
  const path = source.startsWith('npm:') ? `node_modules/${source.slice('npm:'.length)}` : source
  return fileURLToPath(new URL(`../${path}`, import.meta.url))
}
