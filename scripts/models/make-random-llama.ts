/** Writes a random-weight Llama 3.2 of small size to a folder: `npm run … -- <folder> [f32|f16|q4f16] [seed]`. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeRandomLlama, type Precision } from './random-llama.ts'

const PRECISIONS: readonly string[] = ['f32', 'f16', 'q4f16'] satisfies Precision[]
const [folder, precision = 'q4f16', seed = '1'] = process.argv.slice(2)
if (folder === undefined || !isPrecision(precision) || !/^\d{1,9}$/.test(seed)) {
  console.error('usage: node scripts/models/make-random-llama.ts <folder> [f32|f16|q4f16] [seed]')
  process.exit(2)
}
mkdirSync(join(folder, 'onnx'), { recursive: true })
for (const [name, bytes] of makeRandomLlama(precision, Number(seed))) {
  // The hub keeps graphs and their weights in a folder of their own.
  const path = join(folder, name.startsWith('model') ? `onnx/${name}` : name)
  writeFileSync(path, bytes)
  console.log(path, bytes.length)
}

function isPrecision(text: string): text is Precision {
  return PRECISIONS.includes(text)
}
