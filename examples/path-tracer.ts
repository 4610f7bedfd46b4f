/**
 * Renders a picture in 64 tiles on the nodes of an instance, by default the one of `npm start`:
 *   npx node examples/path-tracer.ts [--url URL] [--key lit_…] [--out path-tracer.png] [--passes 8] [--nodes nodes.png]
 */
import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { encode } from 'fast-png'
import { ENDPOINT, readCount } from './arguments.ts'
import { runBatch, type BatchItem } from './jobs-client.ts'
import { developPicture, pictureBatch, pixelAt, stepOf, type Picture } from './path-tracer-scene.ts'

/** Colours of the nodes in the second picture; they repeat for more nodes. */
const COLOURS = [
  [76, 145, 255],
  [255, 160, 60],
  [80, 200, 120],
  [220, 90, 160],
  [240, 220, 80],
  [120, 220, 230],
] as const

const { values: flags } = parseArgs({
  options: {
    ...ENDPOINT,
    out: { type: 'string', default: 'path-tracer.png' },
    /** Path of a second picture that shows which node rendered which tile. */
    nodes: { type: 'string' },
    pixels: { type: 'string', default: '48' },
    /** Paths of each pixel in one item: as many as a slow node can trace within two seconds. */
    samples: { type: 'string', default: '2' },
    passes: { type: 'string', default: '8' },
    seed: { type: 'string', default: '1' },
  },
})
const picture: Picture = {
  tiles: 8,
  tilePixels: readCount('pixels', flags.pixels),
  samples: readCount('samples', flags.samples),
  passes: readCount('passes', flags.passes),
  seed: readCount('seed', flags.seed),
}
const side = picture.tiles * picture.tilePixels
const { status, items, results } = await runBatch(
  { url: flags.url, key: flags.key },
  pictureBatch(picture),
  { onItem: (_, done) => process.stderr.write(`\r${done} items of ${64 * picture.passes}`) },
)
const data = developPicture(picture, results)
await writeFile(flags.out, encode({ width: side, height: side, data, channels: 3, depth: 8 }))
if (flags.nodes !== undefined) {
  const tinted = tintByNode(data, items)
  await writeFile(
    flags.nodes,
    encode({ width: side, height: side, data: tinted, channels: 3, depth: 8 }),
  )
}
const seconds = ((status.finishedAtMs ?? 0) - status.createdAtMs) / 1000
process.stderr.write(
  `\n${flags.out}: ${side}×${side}, ${picture.samples * picture.passes} paths a pixel, ${status.counts.total} items on ` +
    `${status.nodes.length} node(s) in ${Object.keys(status.countries).join(', ')}, ${seconds.toFixed(1)} s, ` +
    `${status.units} units, ${status.amountMicroUsd} µ$\n`,
)

/** Tints each pixel with the colour of the node that rendered its first pass. */
function tintByNode(pixels: Uint8Array, ended: readonly BatchItem[]): Uint8Array {
  const nodes = [...new Set(ended.map(({ node }) => node ?? ''))].toSorted((a, b) =>
    a.localeCompare(b),
  )
  const tinted = pixels.slice()
  for (const { index, node } of ended) {
    if (index >= picture.tiles ** 2) continue
    const colour = COLOURS[nodes.indexOf(node ?? '') % COLOURS.length] ?? COLOURS[0]
    for (let i = 0; i < stepOf(picture); i += 1) {
      const at = pixelAt(index * stepOf(picture) + i, picture) * 3
      for (const [c, value] of colour.entries()) {
        tinted[at + c] = Math.round(0.62 * (pixels[at + c] ?? 0) + 0.38 * value)
      }
    }
  }
  return tinted
}
