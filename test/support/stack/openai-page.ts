/** A page of another origin with the official `openai` client, as npm ships it. */
import { createServer } from 'node:http'
import { readFile } from 'node:fs/promises'
import { join, normalize } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { repositoryPath } from '#scripts/base/paths.ts'
import { listen } from '#test/support/listen.ts'

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
  const { url, close } = await listen(server)
  const page = await browser.newPage()
  await page.goto(url)
  await page.waitForFunction('window.OpenAI !== undefined')
  return {
    page,
    async close() {
      await page.close()
      await close()
    },
  }
}

async function bodyOf(path: string): Promise<string | Uint8Array> {
  if (path === '/') return PAGE
  if (path === '/page.mjs') return SCRIPT
  return await readFile(join(repositoryPath('node_modules'), path))
}
