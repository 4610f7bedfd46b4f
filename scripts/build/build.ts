/** `npm run build`: builds the Worker as one bundle, its pages, and the verifier as one file. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { build as viteBuild } from 'vite'
import { unstable_readConfig } from 'wrangler'
import { z } from 'zod'
import { AppError } from '#shared/base/errors.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { ModelFile, ModelManifest } from '#shared/job/model.ts'
import { parseSource } from '#shared/job/model-source.ts'
import { BUNDLE_FILE, type Bundle } from './bundle.ts'
import { buildDocsPage } from './docs-page.ts'
import { buildPage, QUIET } from './page.ts'
import { modelFilePath } from '#local-node/models/model-path.ts'
import { repositoryPath } from '#scripts/base/paths.ts'

const run = promisify(execFile)

/** Cloudflare's free plan allows 3 MiB; a smaller Worker starts faster. */
const GZIP_LIMIT_BYTES = 1024 * 1024

export const WORKER_DIR = repositoryPath('dist/worker')
export const SIMULATED_WORKER_DIR = repositoryPath('dist/worker-simulated')
export const PAGES_DIR = repositoryPath('dist/pages')
export const VERIFIER_FILE = repositoryPath('dist/littoral-verify.mjs')
/** The oldest Node that a stranger may have. */
const VERIFIER_TARGET = 'node20'
/** The file is handed over together with bundles, so it stays small. */
const VERIFIER_LIMIT_BYTES = 400_000

export interface BuildWorkerOptions {
  /** @default dist/worker, or dist/worker-simulated */
  readonly outDir?: string
  /** Lets nodes and clients be given a simulated place, for development and tests only. */
  readonly simulatedPlaces: boolean
  /** Off for profiles, which need readable names. @default true */
  readonly minify?: boolean
  /** An `index` module that is built instead. @default that of wrangler.toml */
  readonly entry?: string
}

/** @throws {AppError} too_large over 1 MiB gzipped */
export async function buildWorker(options: BuildWorkerOptions): Promise<Bundle> {
  const { simulatedPlaces, minify = true } = options
  const outDir = resolve(options.outDir ?? (simulatedPlaces ? SIMULATED_WORKER_DIR : WORKER_DIR))
  mkdirSync(PAGES_DIR, { recursive: true })
  rmSync(outDir, { recursive: true, force: true })
  const wrangler = repositoryPath('node_modules/wrangler/bin/wrangler.js')
  const define = `__SIMULATED_PLACES__:${simulatedPlaces}`
  await run(
    process.execPath,
    [
      wrangler,
      'deploy',
      ...(options.entry === undefined ? [] : [options.entry]),
      '--config',
      repositoryPath('wrangler.toml'),
      '--dry-run',
      '--outdir',
      outDir,
      '--define',
      define,
      ...(minify ? ['--minify'] : []),
    ],
    {
      cwd: repositoryPath('.'),
      env: { ...process.env, WRANGLER_SEND_METRICS: 'false', WRANGLER_LOG_PATH: outDir },
    },
  ).catch((error: { stdout?: string; stderr?: string }) => {
    throw new AppError('internal', `wrangler failed:\n${error.stdout ?? ''}${error.stderr ?? ''}`)
  })
  const bundle = describeBundle(outDir, simulatedPlaces)
  writeFileSync(join(outDir, BUNDLE_FILE), JSON.stringify(bundle, null, 2))
  if (bundle.gzipBytes > GZIP_LIMIT_BYTES) {
    throw new AppError('too_large', `The Worker is ${bundle.gzipBytes} bytes gzipped, over 1 MiB.`)
  }
  return bundle
}

/** The members of wrangler.toml that the bundle needs to run. */
const WranglerConfig = z.object({
  compatibility_date: z.string(),
  compatibility_flags: z.array(z.string()),
  durable_objects: z.object({
    bindings: z.array(z.object({ name: z.string(), class_name: z.string() })),
  }),
  assets: z.object({ binding: z.string() }).optional(),
  vars: z.record(z.string(), z.string()),
})

function describeBundle(outDir: string, simulatedPlaces: boolean): Bundle {
  const config = WranglerConfig.parse(
    unstable_readConfig({ config: repositoryPath('wrangler.toml') }),
  )
  const main = 'index.js'
  const code = readFileSync(join(outDir, main))
  return {
    simulatedPlaces,
    main,
    compatibilityDate: config.compatibility_date,
    compatibilityFlags: config.compatibility_flags,
    durableObjects: config.durable_objects.bindings.map(({ name, class_name }) => ({
      binding: name,
      className: class_name,
    })),
    assets: config.assets?.binding ?? null,
    vars: config.vars,
    sizeBytes: code.length,
    gzipBytes: gzipSync(code).length,
  }
}

/**
 * Builds the volunteer's page, the console and the API's page into `dist/pages`, and copies every model file to
 * `dist/pages/models/<sha256>`: a node checks the bytes against the name.
 */
export async function buildPages(manifests: readonly ModelManifest[]): Promise<void> {
  await buildPage('browser-node', 'contribute', PAGES_DIR)
  await buildPage('console/compliance', 'compliance', PAGES_DIR)
  copyModelFiles(manifests, join(PAGES_DIR, 'models'))
  copyFileSync(repositoryPath('docs/openapi.json'), join(PAGES_DIR, 'openapi.json'))
  buildDocsPage(join(PAGES_DIR, 'docs'))
}

/** Builds the verifier as one file that needs only Node. @throws {AppError} too_large over 400 KB */
export async function buildVerifier(): Promise<number> {
  await viteBuild({
    configFile: false,
    root: repositoryPath('.'),
    logLevel: 'warn',
    publicDir: false,
    ssr: { noExternal: true },
    define: { __USAGE__: JSON.stringify(verifierUsage()) },
    build: {
      ssr: repositoryPath('scripts/verify/verify-anywhere.ts'),
      target: VERIFIER_TARGET,
      minify: true,
      outDir: repositoryPath('dist'),
      emptyOutDir: false,
      rolldownOptions: { ...QUIET, output: { entryFileNames: basename(VERIFIER_FILE) } },
    },
  })
  const { size } = statSync(VERIFIER_FILE)
  if (size <= VERIFIER_LIMIT_BYTES) return size
  throw new AppError('too_large', `${VERIFIER_FILE} is ${size} bytes, over 400 KB.`)
}

/** The usage for a person who has only the file: without npm and without a local instance. */
function verifierUsage(): string {
  const [first, ...lines] = readFileSync(repositoryPath('scripts/usage/verify.txt'), 'utf8')
    .trimEnd()
    .split('\n')
  const own = lines.filter((line) => !line.includes('.littoral/dev.json'))
  return [
    first?.replace('npm run verify --', `node ${basename(VERIFIER_FILE)}`),
    ...own,
    'It needs Node 20 or newer and one of --pins, --log-key, or --rpc with --settlement.',
  ].join('\n')
}

/** @throws {AppError} internal when a file is not what its manifest says */
export function copyModelFiles(manifests: readonly ModelManifest[], targetDir: string): void {
  mkdirSync(targetDir, { recursive: true })
  for (const file of manifests.flatMap((manifest) => manifest.files)) {
    // Nodes fetch larger files, and those that are not here, from their sources or from each other.
    if (file.sizeBytes > LIMITS.servedFileBytes || !isHere(file)) continue
    const source = modelFilePath(file)
    const digest = `0x${createHash('sha256').update(readFileSync(source)).digest('hex')}`
    if (digest !== file.sha256) {
      throw new AppError('internal', `${file.name} is ${digest}, its manifest says ${file.sha256}`)
    }
    const target = join(targetDir, file.sha256)
    if (!existsSync(target)) copyFileSync(source, target)
  }
}

function isHere({ sources }: ModelFile): boolean {
  return sources.some((source) => parseSource(source).kind !== 'url')
}

if (import.meta.main) {
  await buildPages(MANIFESTS)
  const bundle = await buildWorker({ simulatedPlaces: false })
  console.log(`dist/worker: ${bundle.sizeBytes} bytes, ${bundle.gzipBytes} gzipped`)
  console.log('dist/pages: the page, its models, openapi.json')
  console.log(`dist/littoral-verify.mjs: ${await buildVerifier()} bytes`)
}
