/** Writes `examples/meter.png`, the picture of a meter's register that the demonstration reads. */
import { writeFileSync } from 'node:fs'
import { encode } from 'fast-png'
import { drawRegister } from './draw-register.ts'

export const METER_READING = '00427195'

const { width, height, rgb } = drawRegister({
  digits: METER_READING,
  width: 400,
  height: 72,
  seed: 20261122,
  noise: 3,
})
const file = new URL('../../examples/meter.png', import.meta.url)
const bytes = encode({ width, height, data: rgb, channels: 3 }, { zlib: { level: 9 } })
writeFileSync(file, bytes)
console.log(`examples/meter.png ${width}×${height}, ${bytes.length} bytes, reads ${METER_READING}`)
