/** Writes `shared/job/manifests.ts`, which lists every `models/<id>/manifest.json`: a model is added as data alone. */
import { existsSync, readdirSync } from 'node:fs'
import { repositoryPath } from '#scripts/base/paths.ts'
import { writeSource } from './write-source.ts'

/** Ids of the models that have a manifest, sorted. */
export function listModelIds(): string[] {
  return readdirSync(repositoryPath('models'))
    .filter((id) => existsSync(repositoryPath(`models/${id}/manifest.json`)))
    .toSorted()
}

export function generateManifests(): void {
  const ids = listModelIds()
  const names = ids.map(camelCase)
  const imports = ids.map(
    (id, i) => `import ${names[i]} from '../../models/${id}/manifest.json' with { type: 'json' }`,
  )
  writeSource('shared/job/manifests.ts', [
    '/** The models that this build knows. Generated from `models/` by `npm run generate`: do not edit. */',
    ...imports,
    "import { ModelManifest } from './model.ts'",
    '',
    `export const MANIFESTS: readonly ModelManifest[] = [${names.join(', ')}]`,
    '.map((manifest) => ModelManifest.parse(manifest))',
  ])
}

/** `pp-ocr-rec` → `ppOcrRec`; an id that begins with a digit gets an `m` before it. */
function camelCase(id: string): string {
  const name = id.replace(/[.-]+(.?)/g, (_, next: string) => next.toUpperCase())
  return /^[a-z]/.test(name) ? name : `m${name}`
}
