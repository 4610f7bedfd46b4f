/** Where a model file comes from: the forms of a manifest's `sources`, and their addresses. */
import { AppError } from '#shared/base/errors.ts'

export type ModelSource =
  /** A path below the repository's `models/`. */
  | { readonly kind: 'repository'; readonly path: string }
  /** A path below `node_modules/`. */
  | { readonly kind: 'package'; readonly path: string }
  | { readonly kind: 'url'; readonly url: string }

/** Origin of the model hub that `hf:` means; configuration may name a mirror. */
export const MODEL_HUB = 'https://huggingface.co'
/** Origins that the hub redirects downloads to: https://huggingface.co/docs/hub/main/en/models-downloading */
const MODEL_HUB_STORAGE = 'https://*.hf.co'

const HUB_SOURCE = /^hf:([\w.-]+\/[\w.-]+)@([\w.-]+)\/(.+)$/
const PACKAGE_PATH = /^(?:@[\w.-]+\/)?[\w.-]+\/.+$/

/**
 * Parses `models/…`, `npm:package/path`, `hf:owner/name@revision/path` or `https://…`.
 * @throws {AppError} invalid_request for any other form, or a path that leaves its folder
 */
export function parseSource(source: string, modelHub: string = MODEL_HUB): ModelSource {
  if (source.startsWith('models/')) return { kind: 'repository', path: checkPath(source, source) }
  if (source.startsWith('npm:')) {
    const path = checkPath(source.slice('npm:'.length), source)
    if (PACKAGE_PATH.test(path)) return { kind: 'package', path }
  }
  const onHub = HUB_SOURCE.exec(source)
  if (onHub !== null) {
    const [, name = '', revision = '', path = ''] = onHub
    checkPath(name, source)
    const file = checkPath(path, source).split('/').map(encodeURIComponent).join('/')
    return { kind: 'url', url: `${modelHub}/${name}/resolve/${revision}/${file}` }
  }
  if (/^https:\/\/[^/@\s]+\/\S*$/.test(source)) return { kind: 'url', url: source }
  throw new AppError(
    'invalid_request',
    `"${source}" is no source of a model file: it is models/…, npm:package/path, hf:owner/name@revision/path or https://….`,
  )
}

export function isModelSource(source: string): boolean {
  try {
    parseSource(source)
    return true
  } catch {
    return false
  }
}

/** Foreign origins that a tab fetches these sources from, for its Content-Security-Policy. */
export function sourceOrigins(sources: readonly string[]): string[] {
  const origins = sources.flatMap((source) => {
    if (source.startsWith('hf:')) return [MODEL_HUB, MODEL_HUB_STORAGE]
    return source.startsWith('https://') ? [new URL(source).origin] : []
  })
  return [...new Set(origins)].toSorted()
}

/** Accepts a relative path of plain segments, which cannot leave its folder. */
function checkPath(path: string, source: string): string {
  const isPlain = path
    .split('/')
    .every((segment) => segment !== '' && segment !== '.' && segment !== '..')
  if (isPlain && !/[\\\0]/.test(path)) return path
  throw new AppError('invalid_request', `The path in "${source}" is not below its folder.`)
}
