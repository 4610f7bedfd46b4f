/** A tab's engine, driven from a test: the page is built by Vite and runs in real Chromium. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser } from 'playwright-core'
import { build } from 'vite'
import type { Engine } from '#engine/engine.ts'
import { modelFilePath } from '#local-node/models/model-path.ts'
import { AppError } from '#shared/base/errors.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'
import { launchBrowser } from '#test/support/stack/contribute-page.ts'
import { startPageServer } from '#test/support/stack/contribute-server.ts'
import type { Ask, Opened, Ran, Reply } from './pages/engine/messages.ts'

const PAGE = fileURLToPath(new URL('./pages/engine', import.meta.url))

export interface TabOptions {
  readonly models: readonly string[]
  readonly hasWebGpu: boolean
}

export interface TabEngineUnderTest extends Engine {
  readonly browser: Browser
  /** What it offers now. */
  offer(): Promise<Opened>
  rest(): Promise<void>
  wake(): Promise<void>
}

/** Builds the page, opens it and its engine; `close` ends browser and server and removes what was built. */
export async function openTabEngine({
  models,
  hasWebGpu,
}: TabOptions): Promise<TabEngineUnderTest> {
  const dir = mkdtempSync(join(tmpdir(), 'littoral-engine-page-'))
  await build({
    root: PAGE,
    configFile: false,
    logLevel: 'error',
    build: { outDir: dir, target: 'es2024', assetsInlineLimit: 0, modulePreload: false },
    worker: { format: 'es' },
  })
  placeModels(dir)
  const server = await startPageServer(dir)
  const browser = await launchBrowser({ hasWebGpu })
  const page = await browser.newPage()
  await page.goto(`${server.url}/index.html`)
  let calls = 0
  const ask = async (call: number, what: Ask) => {
    const reply = await page.evaluate(([id, request]) => globalThis.callEngine?.(id, request), [
      call,
      what,
    ] as const)
    return valueOf(reply)
  }
  const opened = (await ask((calls += 1), { type: 'open', models })) as Opened
  return {
    ...opened,
    browser,
    offer: async () => (await ask((calls += 1), { type: 'offer' })) as Opened,
    rest: async () => void (await ask((calls += 1), { type: 'rest' })),
    wake: async () => void (await ask((calls += 1), { type: 'wake' })),
    async run(work, payload, { signal, emit }) {
      const call = (calls += 1)
      const cancel = () => void ask((calls += 1), { type: 'cancel', call })
      const running = ask(call, {
        type: 'run',
        work,
        payload: Buffer.from(payload).toString('base64'),
      })
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

function placeModels(dir: string): void {
  mkdirSync(join(dir, 'models'))
  for (const file of MANIFESTS.flatMap(({ files }) => files))
    copyFileSync(modelFilePath(file), join(dir, 'models', file.sha256))
}

function valueOf(reply: Reply | undefined): Opened | Ran | null {
  if (reply === undefined) throw new Error('the page has no engine')
  if ('value' in reply) return reply.value
  const { code, detail, meta } = reply.error
  throw new AppError(code, detail, { meta: meta ?? {} })
}
