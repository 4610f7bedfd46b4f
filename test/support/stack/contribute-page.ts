/** Opens the volunteer's page in Chromium, with the steps that its tests share. */
import { chromium, type Browser, type Locator, type Page } from 'playwright-core'
import { HANG_MS } from '#test/support/poll.ts'

const FLAGS = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
/** WebGPU on a machine without a GPU: an adapter that runs on the CPU. */
const SWIFTSHADER = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader']
const WITHOUT_WEBGPU = ['--disable-features=WebGPU', '--disable-gpu']

/** Time to fetch the runtime and check the models on a busy machine with a software adapter. */
export const START_MS = 150_000

export async function launchBrowser({ hasWebGpu = true } = {}): Promise<Browser> {
  const args = [...FLAGS, ...(hasWebGpu ? SWIFTSHADER : WITHOUT_WEBGPU)]
  const executablePath = '/usr/bin/chromium'
  const browser = await chromium.launch({ executablePath, args, timeout: HANG_MS })
  const newContext = browser.newContext.bind(browser)
  browser.newContext = async (options) => {
    const context = await newContext(options)
    context.setDefaultTimeout(HANG_MS)
    return context
  }
  return browser
}

export function inPhase(page: Page, phase: string): Locator {
  return page.locator(`[data-phase=${phase}]`)
}

export function textOf(page: Page, testId: string): Promise<string> {
  return page.getByTestId(testId).innerText()
}

/** Presses Start, Resume or Try again as soon as the button is enabled. */
export async function pressStart(page: Page): Promise<void> {
  await page.locator('[data-testid=toggle][data-action=start]:enabled').click()
}

/** Id of the process that drives or emulates the GPU for all pages of a browser. */
export async function gpuProcessId(browser: Browser): Promise<number> {
  const cdp = await browser.newBrowserCDPSession()
  const { processInfo } = await cdp.send('SystemInfo.getProcessInfo')
  await cdp.detach()
  const gpu = processInfo.find(({ type }) => type === 'GPU')
  if (gpu === undefined) throw new Error('the browser has no GPU process')
  return gpu.id
}

/** Kills the process like a crashing driver; the browser starts another. */
export async function killGpuProcess(browser: Browser): Promise<void> {
  process.kill(await gpuProcessId(browser), 'SIGKILL')
}
