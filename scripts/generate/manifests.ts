/** Writes `shared/job/manifests.ts`: the list of every `models/<id>/manifest.json`, so that a model is added as data alone. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { repositoryPath } from '#scripts/base/paths.ts'

/** Ids of the models that have a manifest, in the order in which nodes prefer them. */
export function listModelIds(): string[] {
  return readdirSync(repositoryPath('models'))
    .filter((id) => existsSync(repositoryPath(`models/${id}/manifest.json`)))
    .toSorted()
}

export async function generateManifests(): Promise<void> {
  const ids = listModelIds()
  const names = ids.map((id) => camelCase(id))
  const imports = ids.map(
    (id, i) => `import ${names[i]} from '../../models/${id}/manifest.json' with { type: 'json' }`,
  )
  const list = `export const MANIFESTS: readonly ModelManifest[] = [${names.join(', ')}].map((manifest) =>`
  const text = [
    '/** The models that this build knows. Generated from `models/` by `npm run generate`: do not edit. */',
    ...imports,
    "import { ModelManifest } from './model.ts'",
    '',
    ...(list.length <= 100
      ? [list, '  ModelManifest.parse(manifest),', ')']
      : [
          'export const MANIFESTS: readonly ModelManifest[] = [',
          ...names.map((name) => `  ${name},`),
          '].map((manifest) => ModelManifest.parse(manifest))',
        ]),
    '',
  ].join('\n')
  writeFileSync(repositoryPath('shared/job/manifests.ts'), text)
}

/** `pp-ocr-rec` → `ppOcrRec`; an id that begins with a digit gets a letter before it. */
function camelCase(id: string): string {
  const name = id.replace(/[.-]+(.?)/g, (_, next: string) => next.toUpperCase())
  return /^[a-z]/.test(name) ? name : `m${name}`
}

if (import.meta.main) await generateManifests()
