/** `npm run models -- add | list | check`: the models of this repository, as manifests. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { createModelStore, DEFAULT_MODELS } from '#local-node/models/model-store.ts'
import { AppError, toAppError } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { createLog } from '#shared/base/log.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'
import { manifestDigest, modelBytes, type ModelManifest } from '#shared/job/model.ts'
import { MODEL_HUB } from '#shared/job/model-source.ts'
import { flag, misuse, number, readCommands, runCommand, text } from '#scripts/base/arguments.ts'
import { formatTable } from '#scripts/base/format-table.ts'
import { generateManifests, listModelIds } from '#scripts/generate/manifests.ts'
import { addModel, checkGolden } from '#scripts/models/add-model.ts'
import { openLayout } from '#scripts/models/layout.ts'
import { repositoryPath } from '#scripts/base/paths.ts'

const OPTIONS = {
  id: text(),
  title: text(),
  licence: text(),
  task: text(),
  file: text(),
  price: number(undefined),
  revision: text('main'),
  'model-hub': text(process.env.HF_ENDPOINT ?? MODEL_HUB),
  'dry-run': flag,
}
const COMMANDS = { list: [], check: [], add: ['PLACE'] }

const { values: flags, command, rest } = readCommands(OPTIONS, COMMANDS)
await runCommand(main)

async function main(): Promise<number> {
  if (command === 'check') return check(rest)
  const [where, ...more] = command === 'add' ? rest : ['', ...rest]
  if (more.length > 0) throw misuse(`${command} does not take ${more.join(' ')}`)
  return command === 'add' ? add(where ?? '') : list()
}

function list(): number {
  const rows = MANIFESTS.map((manifest) => [
    manifest.id,
    manifest.task,
    `${(modelBytes(manifest) / 1e6).toFixed(1)} MB`,
    manifest.licence,
    `${manifest.priceMicroUsd} µUSD/${manifest.unit}`,
    manifest.contextTokens === undefined ? '' : `${manifest.contextTokens} tokens`,
    manifestDigest(manifest).slice(0, 12),
  ])
  console.log(
    formatTable([['id', 'task', 'files', 'licence', 'price', 'context', 'digest'], ...rows]),
  )
  return 0
}

async function add(where: string): Promise<number> {
  const layout = await openLayout(where, {
    modelHub: flags['model-hub'],
    revision: flags.revision,
    cacheFolder: DEFAULT_MODELS,
  })
  const { manifest, copies } = await addModel({
    ...flags,
    layout,
    known: MANIFESTS,
    priceMicroUsd: flags.price,
  })
  const written = `${JSON.stringify(manifest, null, 2)}\n`
  if (flags['dry-run']) {
    process.stdout.write(written)
    return 0
  }
  const folder = repositoryPath(`models/${manifest.id}`)
  mkdirSync(folder, { recursive: true })
  for (const [path, bytes] of copies) {
    mkdirSync(dirname(`${folder}/${path}`), { recursive: true })
    writeFileSync(`${folder}/${path}`, bytes)
  }
  writeFileSync(`${folder}/manifest.json`, written)
  generateManifests()
  console.log(`models/${manifest.id}/manifest.json`)
  console.log(
    `  task ${manifest.task}, ${modelBytes(manifest)} bytes in ${manifest.files.length} files`,
  )
  console.log(
    `  largest weight ${manifest.requires?.bufferBytes} bytes, f16 ${manifest.requires?.f16}`,
  )
  console.log(
    `  ${manifest.golden.length} golden case(s) computed on the CPU; check that they are right`,
  )
  return 0
}

/** Prints one line for each model. @returns 1 when anything is wrong */
async function check(ids: readonly string[]): Promise<number> {
  const unknown = ids.find((id) => !MANIFESTS.some((manifest) => manifest.id === id))
  if (unknown !== undefined) throw new AppError('not_found', `There is no model ${unknown}.`)
  let isGood =
    listModelIds().join() ===
    MANIFESTS.map(({ id }) => id)
      .toSorted()
      .join()
  if (!isGood) console.log('shared/job/manifests.ts is out of date: npm run generate')
  const log = createLog({ level: 'error' })
  const store = await createModelStore({
    folder: DEFAULT_MODELS,
    modelHub: process.env.HF_ENDPOINT,
    log,
  })
  for (const manifest of MANIFESTS) {
    if (ids.length > 0 && !ids.includes(manifest.id)) continue
    try {
      await checkGolden(manifest, await readFiles(manifest, store))
      console.log(`good   ${manifest.id}`)
    } catch (error) {
      isGood = false
      const { detail, cause } = toAppError(error)
      console.log(`WRONG  ${manifest.id}: ${cause instanceof Error ? cause.message : detail}`)
    }
  }
  return isGood ? 0 : 1
}

async function readFiles(
  manifest: ModelManifest,
  store: Awaited<ReturnType<typeof createModelStore>>,
): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>()
  for (const file of manifest.files) {
    const held = await store.fetch(file, { signal: AbortSignal.timeout(LIMITS.modelFetchMs) })
    files.set(file.name, new Uint8Array(await readFile(held.path)))
    held.release()
  }
  return files
}
