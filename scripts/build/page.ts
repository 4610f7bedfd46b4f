/** Builds a page with Vite under a strict Content-Security-Policy: nothing inline, nothing evaluated. */
import { readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { build } from 'vite'
import { repositoryPath } from '#scripts/base/paths.ts'

/** Holds what all pages share: their head, style sheet and mark. */
const SHARED_DIR = repositoryPath('shared/page')
/** Hides how long plugins took. */
export const QUIET = { checks: { bundlerTimings: false } }

/** Builds `folder` to be served at `/<name>`. */
export async function buildPage(folder: string, name: string, pagesDir: string): Promise<void> {
  const root = repositoryPath(folder)
  const handler = (page: string) => withHead(page, relative(root, SHARED_DIR))
  await build({
    configFile: false,
    root,
    base: `/${name}/`,
    logLevel: 'warn',
    plugins: [{ name: 'page-head', transformIndexHtml: { order: 'pre', handler } }],
    build: {
      outDir: join(pagesDir, name),
      emptyOutDir: true,
      target: 'es2024',
      // A data: URL would need a wider policy.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      // ONNX Runtime's loader and libp2p are one large chunk each; no visitor waits for them before Start.
      chunkSizeWarningLimit: 1200,
      rolldownOptions: QUIET,
    },
    worker: { format: 'es', rolldownOptions: QUIET },
  })
}

/** Puts the shared head where the page says `<!-- head -->`. @param shared address of the shared files */
export function withHead(page: string, shared: string): string {
  const head = readFileSync(join(SHARED_DIR, 'head.html'), 'utf8')
  return page.replace('<!-- head -->', () => head.replaceAll('%SHARED%', shared))
}
