/** The API page at `/docs`: our own page around Swagger UI, as files of this origin. */
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire, stripTypeScriptTypes } from 'node:module'
import { dirname, join } from 'node:path'
import { repositoryPath } from './paths.ts'

/** Swagger UI's files carry its version in their names, so that a browser may keep them for ever. */
export function buildDocsPage(targetDir: string): void {
  const manifest = createRequire(import.meta.url).resolve('swagger-ui-dist/package.json')
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }
  const swagger = `swagger-ui-${version}`
  rmSync(targetDir, { recursive: true, force: true })
  mkdirSync(targetDir, { recursive: true })
  const source = dirname(manifest)
  copyFileSync(join(source, 'swagger-ui-bundle.js'), join(targetDir, `${swagger}.js`))
  copyFileSync(join(source, 'swagger-ui.css'), join(targetDir, `${swagger}.css`))
  const page = readFileSync(repositoryPath('console/docs/index.html'), 'utf8')
  writeFileSync(join(targetDir, 'index.html'), page.replaceAll('{{swagger-ui}}', swagger))
  const program = readFileSync(repositoryPath('console/docs/docs.ts'), 'utf8')
  writeFileSync(join(targetDir, 'docs.js'), stripTypeScriptTypes(program))
  for (const [from, to] of [
    ['console/docs/docs.css', 'docs.css'],
    ['browser-node/ui/page.css', 'page.css'],
    ['browser-node/ui/mark.svg', 'mark.svg'],
  ] as const) {
    copyFileSync(repositoryPath(from), join(targetDir, to))
  }
}
