/** Finds the imports of a source file: by alias, by relative path and from packages, types included. */
import { posix } from 'node:path'
import { parseSync } from 'vite'

export interface SourceFile {
  /** From the root of the repository. */
  readonly path: string
  readonly imports: readonly Import[]
}

export interface Import {
  readonly specifier: string
  /** The imported file; undefined for a package. */
  readonly file: string | undefined
}

/** Types named in place, `import('./x.ts').X`, and modules that a worker or process is started from. */
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
