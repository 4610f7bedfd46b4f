/** Builds the transport peer and runs it in real workerd. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { z } from 'zod'
import { BUNDLE_FILE, type Bundle } from '#scripts/build/bundle.ts'
import { repositoryPath } from '#scripts/base/paths.ts'
import { startWorkerd } from '#scripts/stack/workerd.ts'
import { silentLog } from '#shared/base/log.ts'

const View = z.object({
  peerId: z.string(),
  connections: z.int(),
  remotePeers: z.array(z.string()),
  sourceBytes: z.int(),
  hasNativeCiphers: z.boolean(),
  holds: z.array(z.enum(['closed', 'broken'])),
})

export interface WorkerdPeer {
  readonly port: number
  view(): Promise<z.infer<typeof View>>
  /** Has the Durable Object dial out and echo; returns its report. */
  dialAndEcho(address: string): Promise<unknown>
  close(): Promise<void>
}

export async function startWorkerdPeer(): Promise<WorkerdPeer> {
  const directory = mkdtempSync(join(tmpdir(), 'littoral-transport-'))
  const bundleDir = join(directory, 'bundle')
  const wrangler = repositoryPath('node_modules/wrangler/bin/wrangler.js')
  const config = repositoryPath('test/support/transport/transport-worker.toml')
  await promisify(execFile)(
    process.execPath,
    [wrangler, 'deploy', '--dry-run', '--minify', '--config', config, '--outdir', bundleDir],
    { env: { ...process.env, WRANGLER_SEND_METRICS: 'false', WRANGLER_LOG_PATH: directory } },
  )
  const bundle: Bundle = {
    simulatedPlaces: false,
    main: 'index.js',
    compatibilityDate: '2026-08-01',
    compatibilityFlags: ['nodejs_compat'],
    durableObjects: [{ binding: 'PEER', className: 'Peer' }],
    assets: null,
    // Setting a local chain allows outbound fetch to local addresses, which the dial test needs.
    vars: { CHAIN_RPC: 'http://127.0.0.1:1' },
    sizeBytes: 0,
    gzipBytes: 0,
  }
  writeFileSync(join(bundleDir, BUNDLE_FILE), JSON.stringify(bundle))
  const workerd = await startWorkerd({
    bundleDir,
    stateDir: join(directory, 'state'),
    assetsDir: join(directory, 'assets'),
    vars: {},
    log: silentLog,
  })
  const get = async (path: string): Promise<unknown> =>
    (await fetch(`${workerd.url}${path}`, { signal: AbortSignal.timeout(20_000) })).json()
  return {
    port: workerd.port,
    view: async () => View.parse(await get('/view')),
    dialAndEcho: (address) => get(`/dial?address=${encodeURIComponent(address)}`),
    async close() {
      await workerd.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
