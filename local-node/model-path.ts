/** Where a model file lies on this machine: in this repository, or in an installed package. */
import { fileURLToPath } from 'node:url'
import type { ModelFile } from '#shared/model.ts'

export function modelFilePath({ source }: Pick<ModelFile, 'source'>): string {
  const path = source.startsWith('npm:') ? `node_modules/${source.slice('npm:'.length)}` : source
  return fileURLToPath(new URL(`../${path}`, import.meta.url))
}
