/** Writes `examples/meter.png`, the picture of a meter's register that the demonstration reads. */
import { writeFileSync } from 'node:fs'
import { PNG } from 'pngjs'
import { drawRegister } from './lib/draw-register.ts'

export const METER_READING = '00427195'

const { width, height, rgb } = drawRegister({
  digits: METER_READING,
  width: 400,
  height: 72,
  seed: 20261122,
  noise: 3,
})
const png = new PNG({ width, height, colorType: 2 })
for (let i = 0; i < width * height; i++) {
  png.data.set(rgb.subarray(i * 3, i * 3 + 3), i * 4)
  png.data[i * 4 + 3] = 255
}
const file = new URL('../examples/meter.png', import.meta.url)
const bytes = PNG.sync.write(png, { colorType: 2, deflateLevel: 9 })
writeFileSync(file, bytes)
console.log(`examples/meter.png ${width}×${height}, ${bytes.length} bytes, reads ${METER_READING}`)
