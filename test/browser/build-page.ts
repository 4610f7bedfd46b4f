/** Builds a test page with Vite into a temporary folder. */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'

/** @returns the folder, to be served and removed by the caller */
export async function buildTestPage(name: 'engine' | 'files'): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), `littoral-${name}-page-`))
  await build({
    root: fileURLToPath(new URL(`./pages/${name}`, import.meta.url)),
    configFile: false,
    logLevel: 'error',
    build: { outDir: dir, target: 'es2024', assetsInlineLimit: 0, modulePreload: false },
    worker: { format: 'es' },
  })
  return dir
}
