/** Small manifests for tests of formats: one of texts, one of pixels. */
import { ModelManifest } from '#shared/job/model.ts'

const file = {
  name: 'model.onnx',
  sha256: `0x${'ab'.repeat(32)}`,
  sizeBytes: 1,
  sources: ['models/model.onnx'],
}

const golden = [{ inputs: [], outputs: [] }]

export const EMBEDDING_MANIFEST = ModelManifest.parse({
  id: 'embed-test',
  title: 'Texts to vectors',
  task: 'embedding',
  licence: 'Apache-2.0',
  files: [file],
  inputs: [{ name: 'text', datatype: 'BYTES', shape: ['texts'], unit: 'UTF-8' }],
  outputs: [{ name: 'embedding', datatype: 'FP32', shape: ['texts', 4], unit: 'unit vector' }],
  unit: 'input',
  priceMicroUsd: 2,
  tolerance: 0.001,
  golden,
})

export const PIXELS_MANIFEST = ModelManifest.parse({
  id: 'pixels-test',
  title: 'Pixels and a scale',
  task: 'ocr-line',
  licence: 'Apache-2.0',
  files: [file],
  inputs: [
    { name: 'image', datatype: 'UINT8', shape: ['height', 'width', 3], unit: 'RGB' },
    { name: 'scale', datatype: 'FP32', shape: [1], unit: 'factor' },
  ],
  outputs: [
    { name: 'text', datatype: 'BYTES', shape: [1], unit: 'UTF-8' },
    { name: 'score', datatype: 'FP32', shape: [1], unit: '0–1' },
  ],
  unit: 'request',
  priceMicroUsd: 50,
  tolerance: 0.001,
  golden,
})
