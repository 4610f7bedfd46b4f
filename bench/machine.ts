/** What the figures were taken on; without it they mean nothing. */
import { readFileSync } from 'node:fs'
import { cpus, release, totalmem, type } from 'node:os'
import { z } from 'zod'
import { repositoryPath } from '#scripts/lib/paths.ts'

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly system: string
  readonly node: string
  readonly workerd: string
}

export function describeMachine(): Machine {
  const cores = cpus()
  return {
    cpu: cores[0]?.model.trim() ?? 'unknown',
    cores: cores.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()} ${process.arch}`,
    node: process.versions.node,
    workerd: versionOf('workerd'),
  }
}

function versionOf(packageName: string): string {
  const path = repositoryPath(`node_modules/${packageName}/package.json`)
  return z.looseObject({ version: z.string() }).parse(JSON.parse(readFileSync(path, 'utf8')))
    .version
}
