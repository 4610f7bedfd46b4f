/** Describes the machine on which figures were taken. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus, release, totalmem, type } from 'node:os'
import { z } from 'zod'

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
    workerd: workerdVersion(),
  }
}

/** Version of the workerd that wrangler brings, which is the one that runs. */
function workerdVersion(): string {
  const fromHere = createRequire(import.meta.url)
  const fromWrangler = createRequire(fromHere.resolve('wrangler/package.json'))
  const text = readFileSync(fromWrangler.resolve('workerd/package.json'), 'utf8')
  return z.looseObject({ version: z.string() }).parse(JSON.parse(text)).version
}
