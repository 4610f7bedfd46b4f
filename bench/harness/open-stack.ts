/** A stack of its own for one bench: a development build of the Worker, and one tenant with its default policy. */
import { join } from 'node:path'
import type { Log } from '#shared/base/log.ts'
import { buildWorker } from '#scripts/build/build.ts'
import { publishDefault } from '#scripts/stack/operator.ts'
import { startStack, type Stack } from '#scripts/stack/stack.ts'

export interface OpenStackOptions {
  readonly dir: string
  readonly log: Log
  readonly say?: (text: string) => void
  /** @default public data, anywhere in the EU, on any node */
  readonly policy?: Readonly<Record<string, unknown>>
  /** Address of V8's inspector, for a profile; names are then left readable. @default none, and a build as it is deployed */
  readonly inspector?: string
  /** An `index` module that is built in place of the Worker. @default the Worker */
  readonly entry?: string
}

const OPEN_POLICY = {
  id: 'bench-open',
  compute: { allow: ['EU'] },
  dataClass: 'public',
  minEvidence: 'observed',
}

/** Plain workerd has no edge that sees a node's place, so this build lets nodes be given one. */
export async function openStack({
  dir,
  log,
  say = () => {},
  policy = OPEN_POLICY,
  inspector,
  entry,
}: OpenStackOptions): Promise<{
  readonly stack: Stack
  readonly url: string
  readonly key: string
}> {
  const bundleDir = join(dir, 'bundle')
  say('Build: Worker')
  const minify = inspector === undefined
  const of = entry === undefined ? {} : { entry }
  await buildWorker({ simulatedPlaces: true, outDir: bundleDir, minify, ...of })
  const stack = await startStack({
    log,
    onStep: say,
    dir: join(dir, 'stack'),
    bundleDir,
    ...(inspector === undefined ? {} : { inspector }),
  })
  try {
    const { apiKey: key } = await stack.createTenant('bench', ['infer', 'policy', 'audit'])
    const at = { url: stack.url, key }
    await publishDefault(at, policy)
    return { stack, ...at }
  } catch (error) {
    await stack.close()
    throw error
  }
}
