/** A page of another origin with the official `openai` client, as npm ships it. */
import { createServer } from 'node:http'
import { readFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join, normalize } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { repositoryPath } from '#scripts/base/paths.ts'

const PAGE = '<!doctype html><script type="module" src="/page.mjs"></script>'
const SCRIPT = 'import OpenAI from "/openai/index.mjs"; window.OpenAI = OpenAI'

export interface OpenAiPage {
  readonly page: Page
  close(): Promise<void>
}

export async function openOpenAiPage(browser: Browser): Promise<OpenAiPage> {
  const server = createServer((request, response) => {
    const path = normalize(request.url ?? '/')
    const type = path === '/' ? 'text/html' : 'text/javascript'
    void bodyOf(path).then(
      (body) => response.writeHead(200, { 'content-type': type }).end(body),
      () => response.writeHead(404).end(),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const page = await browser.newPage()
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  await page.waitForFunction('window.OpenAI !== undefined')
  return {
    page,
    async close() {
      await page.close()
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

async function bodyOf(path: string): Promise<string | Uint8Array> {
  if (path === '/') return PAGE
  if (path === '/page.mjs') return SCRIPT
  return await readFile(join(repositoryPath('node_modules'), path))
}
