/** `dependencies` holds exactly the packages that running needs. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { repositoryPath } from '#scripts/base/paths.ts'

/** Folders that run somewhere; of scripts only the files that these commands reach. */
const FOLDERS = ['shared', 'p2p', 'engine', 'node-core', 'worker', 'browser-node', 'console']
const MORE_FOLDERS = ['local-node', 'bridge', 'contracts/src', 'models']
const COMMANDS = ['start', 'serve', 'deploy', 'keys', 'models', 'attest', 'verify', 'claim']
/** Packages that no import names. */
const BY_NAME: Readonly<Record<string, string>> = {
  node: 'Node 24, which runs every command',
  '@foundry-rs/anvil': 'the local chain of npm start',
  '@foundry-rs/forge': 'builds its contracts',
  solc: 'the compiler that forge is given',
  openai: "the client of README's Try it",
}

const Package = z.object({
  dependencies: z.record(z.string(), z.string()),
  devDependencies: z.record(z.string(), z.string()),
})
const declared = Package.parse(JSON.parse(readFileSync(repositoryPath('package.json'), 'utf8')))

function filesOf(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return entry.name === 'out' ? [] : filesOf(path)
    return /\.(ts|mjs|sol|json|html|css)$/.test(entry.name) ? [path] : []
  })
}

/** Static and dynamic imports, names that are resolved, and `npm:` sources of models. */
const NAMES =
  /^\s*(?:import|export)\b[^'"`;]*?['"]([^'"\n]+)['"]|\bfrom\s+['"]([^'"\n]+)['"]|\bimport\(\s*['"]([^'"\n]+)['"]|\b(?:resolve|createRequire\(import\.meta\.url\))\(\s*['"]([^'"\n]+)['"]|['"]npm:([^'"\n]+)['"]|node_modules\/([a-z@][^'"`\s$)]+)/gm
const PACKAGE = /^(?:@[a-z0-9][\w.-]*\/)?[a-z0-9][\w.-]*/

function namesIn(text: string): string[] {
  return [...text.matchAll(NAMES)].flatMap((match) => match.slice(1).find(Boolean) ?? [])
}

function packagesOf(entries: readonly string[]): Set<string> {
  const seen = new Set<string>()
  const found = new Set<string>()
  const visit = (path: string): void => {
    if (seen.has(path) || !existsSync(path) || !statSync(path).isFile()) return
    seen.add(path)
    for (const name of namesIn(readFileSync(path, 'utf8'))) {
      if (name.startsWith('.')) visit(resolve(dirname(path), name))
      else if (name.startsWith('#')) visit(repositoryPath(name.slice(1)))
      else {
        const [owner] = PACKAGE.exec(name) ?? []
        if (owner !== undefined) found.add(owner)
      }
    }
  }
  for (const entry of entries) visit(entry)
  return found
}

const needed = packagesOf([
  ...[...FOLDERS, ...MORE_FOLDERS].flatMap((folder) => filesOf(repositoryPath(folder))),
  ...COMMANDS.map((name) => repositoryPath(`scripts/commands/${name}.ts`)),
])

describe('dependencies', () => {
  it('are all needed by something that runs', () => {
    const idle = Object.keys(declared.dependencies).filter(
      (name) => !needed.has(name) && !(name in BY_NAME),
    )
    expect(idle).toEqual([])
  })

  it('hold everything that running needs', () => {
    const missing = Object.keys(declared.devDependencies).filter(
      (name) => !name.startsWith('@types/') && (needed.has(name) || name in BY_NAME),
    )
    expect(missing).toEqual([])
  })
})
