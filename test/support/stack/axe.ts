/** Runs axe-core in a page, at desktop and phone width, in light and dark. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'
import { expect } from 'vitest'

interface Screen {
  readonly colorScheme: 'light' | 'dark'
  readonly width: number
}

const SCREENS: readonly Screen[] = [
  { colorScheme: 'light', width: 390 },
  { colorScheme: 'dark', width: 1280 },
  { colorScheme: 'dark', width: 390 },
  { colorScheme: 'light', width: 1280 },
]

/** Each scheme and each width once, which halves the time for pages with many views. */
export const TWO_SCREENS = SCREENS.slice(2)

/** Expects no finding of axe-core, and nothing wider than the screen. The page keeps the settings of the last screen. */
export async function expectUsable(page: Page, screens = SCREENS): Promise<void> {
  for (const { colorScheme, width } of screens) {
    await page.emulateMedia({ colorScheme })
    await page.setViewportSize({ width, height: 800 })
    const violations = await page.evaluate(RUN_AXE)
    expect({ colorScheme, width, violations }).toEqual({ colorScheme, width, violations: [] })
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width)
  }
}

/** Evaluated through the debugger, which the page's content policy does not restrict. */
const RUN_AXE = `${readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')};
axe.run().then(({ violations }) =>
  violations.map(({ id, nodes }) => id + ': ' + nodes.map((node) => node.target).join(' ')))`
