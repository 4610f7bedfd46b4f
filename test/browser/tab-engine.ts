/** Runs a tab's engine in real Chromium and drives it from a test. */
import { copyFileSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import type { Engine } from '#engine/engine.ts'
import { modelFilePath } from '#local-node/models/model-path.ts'
import { AppError } from '#shared/base/errors.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'
import { launchBrowser } from '#test/support/stack/contribute-page.ts'
import { startPageServer } from '#test/support/stack/contribute-server.ts'
import { buildTestPage } from './build-page.ts'
import type { Ask, Opened, Ran, Reply } from './pages/engine/messages.ts'

export interface TabOptions {
  readonly models: readonly string[]
  /** @default true */
  readonly hasWebGpu?: boolean
}

export interface TabEngineUnderTest extends Engine {
  readonly browser: Browser
  offer(): Promise<Opened>
  rest(): Promise<void>
  wake(): Promise<void>
}

/** Builds the page and opens its engine; `close` ends browser and server and removes the built page. */
export async function openTabEngine({
  models,
  hasWebGpu = true,
}: TabOptions): Promise<TabEngineUnderTest> {
  const dir = await buildTestPage('test/browser/pages/engine')
  mkdirSync(join(dir, 'models'))
  for (const file of MANIFESTS.flatMap(({ files }) => files))
    copyFileSync(modelFilePath(file), join(dir, 'models', file.sha256))
  const server = await startPageServer(dir)
  const browser = await launchBrowser({ hasWebGpu })
  const page = await browser.newPage()
  await page.goto(`${server.url}/index.html`)
  let calls = 0
  const ask = async (what: Ask, call = (calls += 1)) => {
    const reply = await page.evaluate(([id, request]) => globalThis.callEngine?.(id, request), [
      call,
      what,
    ] as const)
    return valueOf(reply)
  }
  const opened = (await ask({ type: 'open', models })) as Opened
  return {
    ...opened,
    browser,
    offer: async () => (await ask({ type: 'offer' })) as Opened,
    rest: async () => void (await ask({ type: 'rest' })),
    wake: async () => void (await ask({ type: 'wake' })),
    async run(work, payload, { signal, emit }) {
      const call = (calls += 1)
      const cancel = () => void ask({ type: 'cancel', call })
      const base64 = Buffer.from(payload).toString('base64')
      const running = ask({ type: 'run', work, payload: base64 }, call)
      signal.addEventListener('abort', cancel)
      if (signal.aborted) cancel()
      const { answer, bytes } = (await running) as Ran
      signal.removeEventListener('abort', cancel)
      await emit(new Uint8Array(Buffer.from(bytes, 'base64')))
      return answer
    },
    async close() {
      await browser.close()
      await server.close()
      rmSync(dir, { recursive: true })
    },
  }
}

function valueOf(reply: Reply | undefined): Opened | Ran | null {
  if (reply === undefined) throw new Error('the page has no engine')
  if ('value' in reply) return reply.value
  const { code, detail, meta } = reply.error
  throw new AppError(code, detail, { meta: meta ?? {} })
}
