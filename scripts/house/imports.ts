/** What a source file imports: by alias, by relative path, from packages; types as well. */
import { posix } from 'node:path'
import { parseSync } from 'vite'

export interface SourceFile {
  /** From the root of the repository. */
  readonly path: string
  /** Files of the repository by path, packages by specifier. */
  readonly imports: readonly Import[]
}

export interface Import {
  readonly specifier: string
  /** The file that it leads to; undefined for a package. */
  readonly file: string | undefined
}

/** Types that are named in place, `import('./x.ts').X`, and modules that a worker or process is started from. */
const IN_PLACE =
  /\bimport\(\s*['"]([^'"]+)['"]\s*\)|new URL\(\s*['"](\.[^'"]+\.ts)['"]\s*,\s*import\.meta\.url/g

export function readImports(path: string, text: string): SourceFile {
  const { module } = parseSync(path, text)
  const specifiers = new Set([
    ...module.staticImports.map(({ moduleRequest }) => moduleRequest.value),
    ...module.staticExports.flatMap(({ entries }) =>
      entries.flatMap(({ moduleRequest }) => moduleRequest?.value ?? []),
    ),
    ...[...text.matchAll(IN_PLACE)].flatMap((match) => match[1] ?? match[2] ?? []),
  ])
  return { path, imports: [...specifiers].map((specifier) => leadsTo(specifier, path)) }
}

function leadsTo(specifier: string, from: string): Import {
  if (specifier.startsWith('#')) return { specifier, file: specifier.slice(1) }
  if (!specifier.startsWith('.')) return { specifier, file: undefined }
  return { specifier, file: posix.join(posix.dirname(from), specifier) }
}
