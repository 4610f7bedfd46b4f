/** Writes a generated source file. */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { repositoryPath } from '#scripts/base/paths.ts'

/** @param path from the root of the repository */
export function writeSource(path: string, lines: readonly string[]): void {
  const file = repositoryPath(path)
  writeFileSync(file, `${lines.join('\n')}\n`)
  const oxfmt = repositoryPath('node_modules/.bin/oxfmt')
  const { status } = spawnSync(oxfmt, [file], { stdio: ['ignore', 'ignore', 'inherit'] })
  if (status !== 0) throw new Error(`oxfmt failed on ${path}`)
}
