/** Opens the source of a model: a folder, an installed npm package, or a repository of the model hub. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { z } from 'zod'
import { createModelStore } from '#local-node/models/model-store.ts'
import { AppError } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { createLog } from '#shared/base/log.ts'
import { ModelFile } from '#shared/job/model.ts'
import { repositoryPath } from '#scripts/base/paths.ts'

export interface Layout {
  /** The model's name at its source. */
  readonly name: string
  readonly paths: readonly string[]
  /** The licence that the source declares. */
  readonly licence: string | undefined
  /** The source to put into a manifest; undefined for a file outside the repository, which is copied. */
  source(path: string): string | undefined
  read(path: string): Promise<Uint8Array>
}

export interface LayoutOptions {
  readonly modelHub: string
  readonly revision: string
  /** Keeps large files of the hub. */
  readonly cacheFolder: string
}

/**
 * @param where a folder, `npm:package`, or a hub id `owner/name`
 * @throws {AppError} not_found
 */
export async function openLayout(where: string, options: LayoutOptions): Promise<Layout> {
  if (where.startsWith('npm:')) return openPackage(where.slice('npm:'.length))
  const folder = resolve(where)
  if (existsSync(folder)) return openFolder(folder)
  if (existsSync(repositoryPath(`node_modules/${where}/package.json`))) return openPackage(where)
  if (/^[\w.-]+\/[\w.-]+$/.test(where)) return openHub(where, options)
  throw new AppError('not_found', `${where} is not a folder, an installed package or a hub id.`)
}

function openFolder(folder: string): Layout {
  const inModels = relative(repositoryPath('models'), folder)
  const isOurs = inModels !== '' && !inModels.startsWith('..')
  return {
    name: folder.split('/').at(-1) ?? 'model',
    paths: listFiles(folder),
    licence: frontMatterLicence(join(folder, 'README.md')),
    source: (path) => (isOurs ? `models/${inModels}/${path}` : undefined),
    read: async (path) => new Uint8Array(readFileSync(join(folder, path))),
  }
}

function openPackage(name: string): Layout {
  const folder = repositoryPath(`node_modules/${name}`)
  const manifest = join(folder, 'package.json')
  if (!existsSync(manifest)) throw new AppError('not_found', `${name} is not installed.`)
  const { license } = z
    .object({ license: z.string().optional() })
    .parse(JSON.parse(readFileSync(manifest, 'utf8')))
  return {
    name: name.split('/').at(-1) ?? name,
    paths: listFiles(folder),
    licence: license,
    source: (path) => `npm:${name}/${path}`,
    read: async (path) => new Uint8Array(readFileSync(join(folder, path))),
  }
}

/** Part of the hub's answer: https://huggingface.co/docs/hub/api#get-apimodelsrepoid-or-apimodelsrepoidrevisionrevision */
const HubModel = z.object({
  sha: z.string().regex(/^[\w.-]+$/),
  siblings: z
    .array(
      z.object({
        rfilename: z.string(),
        size: z.int().optional(),
        lfs: z.object({ sha256: z.string(), size: z.int() }).optional(),
      }),
    )
    .max(10_000),
  cardData: z.object({ license: z.string().optional() }).optional(),
})

/** Pins the revision to its current commit; large files are fetched by the hash that the hub names. */
async function openHub(name: string, options: LayoutOptions): Promise<Layout> {
  const { modelHub, revision, cacheFolder } = options
  const url = `${modelHub}/api/models/${name}/revision/${revision}?blobs=true`
  const reply = await fetch(url, { signal: AbortSignal.timeout(30_000) }).catch(
    (cause: unknown) => {
      throw new AppError('not_found', `${new URL(url).host} cannot be reached.`, { cause })
    },
  )
  if (!reply.ok)
    throw new AppError('not_found', `${modelHub} answered ${reply.status} for ${name}@${revision}.`)
  const { sha, siblings, cardData } = HubModel.parse(await reply.json())
  const store = await createModelStore({
    folder: cacheFolder,
    modelHub,
    log: createLog({ level: 'warn' }),
  })
  const source = (path: string) => `hf:${name}@${sha}/${path}`
  return {
    name: name.split('/').at(-1) ?? name,
    paths: siblings.map(({ rfilename }) => rfilename),
    licence: cardData?.license,
    source,
    async read(path) {
      const { lfs } = siblings.find(({ rfilename }) => rfilename === path) ?? {}
      if (lfs === undefined) return fetchSmall(`${modelHub}/${name}/resolve/${sha}/${path}`)
      const file = ModelFile.safeParse({
        name: path.slice(-128),
        sha256: `0x${lfs.sha256}`,
        sizeBytes: lfs.size,
        sources: [source(path)],
      })
      if (!file.success) throw new AppError('too_large', `${path}: ${file.error.message}`)
      const signal = AbortSignal.timeout(LIMITS.modelFetchMs)
      const held = await store.fetch(file.data, { signal })
      const bytes = new Uint8Array(readFileSync(held.path))
      held.release()
      return bytes
    },
  }
}

/** Fetches a file that the hub keeps in git, without a hash. */
async function fetchSmall(url: string): Promise<Uint8Array> {
  const reply = await fetch(url, { signal: AbortSignal.timeout(60_000) })
  if (!reply.ok) throw new AppError('not_found', `${url} answered ${reply.status}.`)
  const bytes = new Uint8Array(await reply.arrayBuffer())
  if (bytes.length <= LIMITS.servedFileBytes) return bytes
  throw new AppError(
    'too_large',
    `${url} has ${bytes.length} bytes, too many for a file without a hash.`,
  )
}

function listFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((path) => !path.includes('node_modules/'))
}

/** Reads `license:` from a model card's front matter. */
function frontMatterLicence(path: string): string | undefined {
  if (!existsSync(path)) return undefined
  return /^---\n(?:.*\n)*?license:\s*(\S+)/.exec(readFileSync(path, 'utf8'))?.[1]
}
