/** Opens the volunteer's page in real Chromium, with the words that its tests have in common. */
import { chromium, type Browser, type Locator, type Page } from 'playwright-core'

const FLAGS = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
/** WebGPU on a machine without a GPU: an adapter that the CPU plays. */
const SWIFTSHADER = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader']
const WITHOUT_WEBGPU = ['--disable-features=WebGPU', '--disable-gpu']

/** Fetching the runtime and checking the models takes this long on a busy machine with a software adapter. */
export const START_MS = 150_000

export function launchBrowser({ hasWebGpu = true } = {}): Promise<Browser> {
  const args = [...FLAGS, ...(hasWebGpu ? SWIFTSHADER : WITHOUT_WEBGPU)]
  return chromium.launch({ executablePath: '/usr/bin/chromium', args })
}

export function inPhase(page: Page, phase: string): Locator {
  return page.locator(`[data-phase=${phase}]`)
}

export function textOf(page: Page, testId: string): Promise<string> {
  return page.getByTestId(testId).innerText()
}

/** Presses Start, Resume or Try again as soon as the page allows it. */
export async function pressStart(page: Page): Promise<void> {
  await page.locator('[data-testid=toggle][data-action=start]:enabled').click()
}
