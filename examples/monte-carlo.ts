/**
 * Estimates how many neutrons come through a slab, with error bars, in many parts on the available nodes:
 *   npx node examples/monte-carlo.ts [--url URL] [--key lit_…] [--out shield.svg] [--items 64]
 */
import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { ENDPOINT, readCount, readShare } from './arguments.ts'
import { runBatch } from './jobs-client.ts'
import { drawChart } from './monte-carlo-chart.ts'
import {
  estimate,
  readSums,
  readTallies,
  shareThrough,
  studyBatch,
  type Study,
} from './monte-carlo-shield.ts'

const { values: flags } = parseArgs({
  options: {
    ...ENDPOINT,
    out: { type: 'string', default: 'shield.svg' },
    items: { type: 'string', default: '64' },
    histories: { type: 'string', default: '512' },
    scattering: { type: 'string', default: '0.7' },
    seed: { type: 'string', default: '1' },
  },
})
const study: Study = {
  thicknesses: [0.5, 1, 1.5, 2, 3, 4, 5, 6, 7, 8],
  scattering: readShare('scattering', flags.scattering),
  historiesPerItem: readCount('histories', flags.histories),
  items: readCount('items', flags.items),
  seed: readCount('seed', flags.seed),
}
const { status, results, reduced } = await runBatch(
  { url: flags.url, key: flags.key },
  studyBatch(study),
  { onItem: (_, done) => process.stderr.write(`\r${done} items of ${study.items}`) },
)
const shares = [...results]
  .toSorted(([a], [b]) => a - b)
  .map(([, bytes]) => readTallies(bytes).map(shareThrough))
const sharesAt = (thickness: number) => shares.map((item) => item[thickness] ?? 0)
const estimates = study.thicknesses.map((_, i) => estimate(sharesAt(i)))
const sums = readSums(reduced ?? new Uint8Array())
/** Index of the thickness whose convergence is shown: a few in a hundred come through. */
const shown = 5
const at = sharesAt(shown)
const histories = study.items * study.historiesPerItem
const nodes = `${status.nodes.length} node(s) in ${Object.keys(status.countries).join(', ')}`
await writeFile(
  flags.out,
  drawChart({
    thicknesses: study.thicknesses,
    estimates,
    exact: study.thicknesses.map((thickness) => Math.exp(-thickness)),
    convergence: at.slice(1).map((_, i) => estimate(at.slice(0, i + 2))),
    convergesAt: study.thicknesses[shown] ?? 0,
    caption: `${histories.toLocaleString('en')} histories of each thickness, scattering ${study.scattering}, ${study.items} items on ${nodes}`,
  }),
)
process.stderr.write(
  `\n${flags.out}: ${study.items} items on ${nodes}, ${status.amountMicroUsd} µ$\n`,
)
for (const [i, thickness] of study.thicknesses.entries()) {
  const { mean, standardError } = estimates[i] ?? { mean: 0, standardError: 0 }
  const { through = 0, back = 0, absorbed = 0 } = sums[i] ?? {}
  process.stdout.write(
    `${thickness} mean free paths: ${mean.toExponential(3)} ± ${standardError.toExponential(1)} through ` +
      `(${through} through, ${back} back, ${absorbed} absorbed)\n`,
  )
}
