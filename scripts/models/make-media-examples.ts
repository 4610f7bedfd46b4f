/**
 * Writes the pictures that the OCR and detection examples read: plates that Chromium draws, and a photo as JPEG.
 * Usage: `node scripts/models/make-media-examples.ts [photo.png]`; the photo is `chelsea.png` of scikit-image's data.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { chromium } from 'playwright-core'
import { repositoryPath } from '#scripts/base/paths.ts'

/** What is written on the plate, line by line, in reading order. */
const NAMEPLATE = ['LITTORAL PUMP 7', 'Serial No. LP-2026-0417', 'Flow 12.5 m3/h', 'Made in Lisbon']
const PLATE_STYLE = `
  body { margin: 0; width: 480px; height: 260px; overflow: hidden;
    background: #6d7a80; }
  div { position: absolute; left: 40px; top: 30px; width: 400px; height: 200px; background: #e9e6dc;
    border: 3px solid #333; border-radius: 10px; transform: rotate(-4deg); color: #1c1c1c; }
  p { position: absolute; margin: 0; left: 24px; font: 24px 'DejaVu Sans', sans-serif; white-space: nowrap; }
  p:first-child { font-weight: bold; font-size: 28px; }
  p:last-child { left: 200px; font-size: 20px; }`

/** One word a line: whether a recogniser writes a faint space is no question for a golden case. */
const LABEL = ['LITTORAL', 'LP-2026-0417']
const LABEL_STYLE = `
  body { margin: 0; padding: 14px 20px; width: 200px; height: 68px; overflow: hidden; background: #f2f0ea;
    font: 26px/34px 'DejaVu Sans', sans-serif; color: #222; }
  p { margin: 0 }`

const [photo] = process.argv.slice(2)
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox'],
})
try {
  const page = await browser.newPage({ viewport: { width: 480, height: 260 } })
  const lines = NAMEPLATE.map((line, i) => `<p style="top: ${14 + i * 45}px">${line}</p>`)
  await page.setContent(`<style>${PLATE_STYLE}</style><div>${lines.join('')}</div>`)
  write('examples/nameplate.png', await page.screenshot({ type: 'png' }))
  await page.setViewportSize({ width: 240, height: 96 })
  await page.setContent(
    `<style>${LABEL_STYLE}</style>${LABEL.map((line) => `<p>${line}</p>`).join('')}`,
  )
  write('examples/label.png', await page.screenshot({ type: 'png' }))
  if (photo !== undefined) {
    const source = `data:image/png;base64,${readFileSync(photo).toString('base64')}`
    await page.setContent(`<style>body { margin: 0 }</style><img src="${source}">`)
    write('examples/cat.jpg', await page.locator('img').screenshot({ type: 'jpeg', quality: 80 }))
  }
} finally {
  await browser.close()
}

function write(path: string, bytes: Uint8Array): void {
  writeFileSync(repositoryPath(path), bytes)
  console.log(`${path} ${bytes.length} bytes`)
}
