/** Builds a page of one module with Vite, for tests and benches. */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'vite'
import { repositoryPath } from '#scripts/base/paths.ts'

const PAGE = `<!doctype html>
<html lang="en">
  <head><meta charset="utf-8" /><title>Page under test</title></head>
  <body><script type="module" src="./page.js"></script></body>
</html>
`

/**
 * @param root holds `page.ts`
 * @returns the folder of the page, to be served and removed by the caller
 */
export async function buildTestPage(
  root: string,
  dir = mkdtempSync(join(tmpdir(), 'littoral-page-')),
): Promise<string> {
  await build({
    root: repositoryPath(root),
    configFile: false,
    logLevel: 'error',
    build: {
      outDir: dir,
      target: 'es2024',
      assetsInlineLimit: 0,
      modulePreload: false,
      rollupOptions: { input: 'page.ts', output: { entryFileNames: 'page.js' } },
    },
    worker: { format: 'es' },
  })
  writeFileSync(join(dir, 'index.html'), PAGE)
  return dir
}
