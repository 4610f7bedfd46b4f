/** Makes a model's manifest from its files: task, hashes, limits, and golden cases that the engine's runner computes on the CPU. */
import { createHash } from 'node:crypto'
import { basename, dirname, join } from 'node:path'
import * as ort from 'onnxruntime-node'
import { admitModel } from '#engine/admit.ts'
import { listExternalData } from '#engine/runtime/onnx-external.ts'
import { createModelRunner, type ModelFiles } from '#engine/models/runner.ts'
import { createOrtSessions } from '#engine/runtime/runtime-session.ts'
import { AppError } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { MODEL_TASKS, ModelManifest, type ModelTensor } from '#shared/job/model.ts'
import type { TensorValue } from '#shared/job/tensor.ts'
import { readConfig, type ModelConfig } from './config.ts'
import type { Layout } from './layout.ts'
import { readOnnxFacts } from './onnx-facts.ts'

export interface AddOptions {
  readonly layout: Layout
  /** Known manifests; one of the same task gives inputs, outputs and golden inputs. */
  readonly known: readonly ModelManifest[]
  readonly id?: string | undefined
  readonly title?: string | undefined
  readonly task?: string | undefined
  readonly licence?: string | undefined
  /** Path of the graph, where there are several. */
  readonly file?: string | undefined
  readonly priceMicroUsd?: number | undefined
}

export interface AddedModel {
  readonly manifest: ModelManifest
  /** Files from outside the repository and its packages, to be copied beside the manifest. */
  readonly copies: ReadonlyMap<string, Uint8Array>
}

/** Files that a runner does not need. */
const OPTIONAL: ReadonlySet<string> = new Set(['generation_config.json'])

interface FoundFile {
  /** The name that the runner or the graph uses. */
  readonly name: string
  readonly path: string
  readonly bytes: Uint8Array
}

/** @throws {AppError} invalid_request or too_large, with the reason why the model cannot run */
export async function addModel(options: AddOptions): Promise<AddedModel> {
  const { layout, known } = options
  const licence = options.licence ?? layout.licence
  if (licence === undefined)
    throw refuse('The model names no licence. Read its licence, and give it with --licence.')
  const id = options.id ?? slugOf(layout.name)
  if (known.some((other) => other.id === id))
    throw refuse(`There is already a model ${id}; give another --id, or remove models/${id}.`)
  const config = layout.paths.includes('config.json')
    ? readConfig(await layout.read('config.json'))
    : undefined
  const template = templateOf(options, config)
  const files = await findFiles(template, options)
  const copies = new Map<string, Uint8Array>()
  const listed = files.map(({ name, path, bytes }) => {
    const source = layout.source(path)
    if (source === undefined) copies.set(path, bytes)
    const sha256 = `0x${createHash('sha256').update(bytes).digest('hex')}`
    return { name, sha256, sizeBytes: bytes.length, sources: [source ?? `models/${id}/${path}`] }
  })
  if ([...copies.values()].some((bytes) => bytes.length > LIMITS.servedFileBytes))
    throw new AppError('too_large', 'The model is too large to be copied into the repository.')
  const facts = files.filter(isGraph).map(({ bytes }) => readOnnxFacts(bytes))
  const draft = {
    ...template,
    id,
    title: options.title ?? layout.name,
    licence,
    files: listed,
    priceMicroUsd: options.priceMicroUsd ?? template.priceMicroUsd,
    contextTokens: template.contextTokens === undefined ? undefined : config?.contextTokens,
    requires: {
      bufferBytes: Math.max(0, ...facts.map(({ largestTensorBytes }) => largestTensorBytes)),
      f16: facts.some(({ usesF16 }) => usesF16),
    },
  }
  const contents: ModelFiles = new Map(files.map(({ name, bytes }) => [name, bytes]))
  const manifest = ModelManifest.parse({ ...draft, ...(await makeGolden(draft, contents)) })
  await checkGolden(manifest, contents)
  return { manifest, copies }
}

/** Runs the golden cases as a node does when it admits the model. @throws {AppError} naming the output that differs */
export async function checkGolden(manifest: ModelManifest, files: ModelFiles): Promise<void> {
  const sessions = createOrtSessions(ort)
  const now = () => performance.now()
  const model = await admitModel({ manifest, files, provider: 'cpu', sessions, now })
  await model.release()
}

/** Finds a known model with the same task. */
function templateOf({ task, known }: AddOptions, config: ModelConfig | undefined): ModelManifest {
  const wanted = task ?? config?.task
  const tasks = MODEL_TASKS.join(', ')
  if (wanted === undefined) {
    const what =
      config === undefined ? 'There is no config.json' : `${config.architecture} has no known task`
    throw refuse(`${what}. Give the task with --task: ${tasks}.`)
  }
  const template = known.find((manifest) => manifest.task === wanted)
  if (template !== undefined) return template
  throw refuse(`There is no task "${wanted}", only: ${tasks}.`)
}

/** Finds the files that the task's runner opens, and the weights that their graphs name. */
async function findFiles(
  template: ModelManifest,
  { layout, file }: AddOptions,
): Promise<FoundFile[]> {
  const files: FoundFile[] = []
  for (const { name } of template.files.filter((known) => !isWeights(known.name))) {
    const path = name === 'model.onnx' ? findGraph(layout, file) : findPath(layout, name)
    if (path === undefined && OPTIONAL.has(name)) continue
    if (path === undefined)
      throw refuse(`There is no ${name}, which a ${template.task} model needs.`)
    const bytes = await readFile(layout, path)
    files.push({ name, path, bytes })
    if (!name.endsWith('.onnx')) continue
    for (const location of listExternalData(bytes))
      files.push(await readWeights(layout, path, location))
  }
  return files
}

async function readWeights(layout: Layout, graph: string, location: string): Promise<FoundFile> {
  if (location !== basename(location) || location === '..' || location === '')
    throw refuse(
      `${graph} keeps weights in ${JSON.stringify(location)}, outside its own folder, and is not run.`,
    )
  const path = join(dirname(graph), location)
  if (!layout.paths.includes(path))
    throw refuse(`${graph} keeps weights in ${path}, which is missing.`)
  return { name: location, path, bytes: await readFile(layout, path) }
}

async function readFile(layout: Layout, path: string): Promise<Uint8Array> {
  const bytes = await layout.read(path)
  if (bytes.length > 0 && bytes.length <= LIMITS.modelFileBytes) return bytes
  throw new AppError(
    'too_large',
    `${path} has ${bytes.length} bytes; a file has 1 to ${LIMITS.modelFileBytes}.`,
  )
}

function findPath({ paths }: Layout, name: string): string | undefined {
  return paths.find((path) => path === name) ?? paths.find((path) => basename(path) === name)
}

/** Takes the named graph, the one with the usual name, or the only one. */
function findGraph({ paths }: Layout, wanted: string | undefined): string {
  const graphs = paths.filter((path) => path.endsWith('.onnx'))
  const usual = ['onnx/model.onnx', 'model.onnx']
  const found =
    wanted === undefined
      ? (usual.find((path) => graphs.includes(path)) ??
        (graphs.length === 1 ? graphs[0] : undefined))
      : graphs.find((path) => path === wanted)
  if (found !== undefined) return found
  throw refuse(
    graphs.length === 0
      ? 'There is no ONNX graph.'
      : `Choose a graph with --file: ${graphs.slice(0, 20).join(', ')}.`,
  )
}

type Draft = Pick<ModelManifest, 'id' | 'task' | 'golden' | 'outputs'> & {
  readonly contextTokens?: number | undefined
}

/** Runs the task's golden inputs on this model. */
async function makeGolden(
  { id, task, golden, outputs: face, contextTokens }: Draft,
  files: ModelFiles,
): Promise<Pick<ModelManifest, 'golden' | 'outputs'>> {
  const manifest = { id, task, ...(contextTokens === undefined ? {} : { contextTokens }) }
  const sessions = createOrtSessions(ort)
  const opened = await createModelRunner({
    manifest,
    files,
    sessions,
    provider: 'cpu',
  })
  try {
    const cases = []
    let outputs: readonly TensorValue[] = []
    for (const { inputs } of golden) {
      outputs = await opened.runner.run(inputs.map(toValue), new AbortController().signal)
      cases.push({ inputs, outputs: outputs.map(toJson) })
    }
    return { golden: cases, outputs: face.map((tensor, i) => withShape(tensor, outputs[i]?.shape)) }
  } finally {
    await opened.release()
  }
}

/** Free sizes stay free; fixed sizes are those of this model. */
function withShape(tensor: ModelTensor, shape: readonly number[] | undefined): ModelTensor {
  if (shape === undefined || shape.length !== tensor.shape.length) return tensor
  return {
    ...tensor,
    shape: tensor.shape.map((size, i) => (typeof size === 'string' ? size : (shape[i] ?? size))),
  }
}

function isGraph({ name }: { readonly name: string }): boolean {
  return name.endsWith('.onnx')
}

/** The template's external weights, which the new model does not have. */
function isWeights(name: string): boolean {
  return /\.onnx_data(_\d+)?$|\.bin$/.test(name)
}

function slugOf(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9.-]+/g, '-')
    .replace(/^[.-]+/, '')
    .slice(0, 64)
}

function toValue({ shape, data }: { shape: readonly number[]; data: string }): TensorValue {
  return { shape, bytes: new Uint8Array(Buffer.from(data, 'base64')) }
}

function toJson({ shape, bytes }: TensorValue) {
  return { shape: [...shape], data: Buffer.from(bytes).toString('base64') }
}

function refuse(detail: string): AppError {
  return new AppError('invalid_request', detail)
}
