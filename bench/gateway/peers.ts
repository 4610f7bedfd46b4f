/** The smallest Workers, started by the launcher that starts ours. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Log } from '#shared/base/log.ts'
import { BUNDLE_FILE, type Bundle } from '#scripts/build/bundle.ts'
import { startWorkerd, type Workerd } from '#scripts/stack/workerd.ts'

/** Answers every request with one fixed JSON. */
export const BARE_ROUTE = `export default { fetch: () => Response.json({ status: 'ok' }) }`

/** Sends each request on to the upstream and streams the answer back. */
export const PLAIN_PROXY = `export default {
  fetch: (request, env) => fetch(env.UPSTREAM + new URL(request.url).pathname, request),
}`

export interface PeerOptions {
  readonly name: string
  readonly source: string
  readonly dir: string
  readonly log: Log
  /** @default none */
  readonly vars?: Readonly<Record<string, string>>
  readonly durableObjects?: Bundle['durableObjects']
}

/** Variables of a Worker that calls this server on this machine, which the launcher permits only where CHAIN_RPC is set. */
export function callsTo(upstream: string): Readonly<Record<string, string>> {
  return { UPSTREAM: upstream, CHAIN_RPC: upstream }
}

export async function startPeer(options: PeerOptions): Promise<Workerd> {
  const { name, source, dir, log, vars = {}, durableObjects = [] } = options
  const bundleDir = join(dir, name)
  mkdirSync(bundleDir, { recursive: true })
  writeFileSync(join(bundleDir, 'index.js'), source)
  writeFileSync(join(bundleDir, BUNDLE_FILE), JSON.stringify(describe(source, durableObjects)))
  return startWorkerd({
    bundleDir,
    stateDir: join(bundleDir, 'state'),
    assetsDir: join(bundleDir, 'assets'),
    vars,
    log,
  })
}

function describe(source: string, durableObjects: Bundle['durableObjects']): Bundle {
  return {
    simulatedPlaces: false,
    main: 'index.js',
    compatibilityDate: '2026-08-01',
    compatibilityFlags: ['nodejs_compat'],
    durableObjects,
    assets: null,
    vars: {},
    sizeBytes: source.length,
    gzipBytes: source.length,
  }
}
