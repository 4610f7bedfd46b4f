/** ONNX Runtime as the engine uses it: the same few calls in Node and in a tab. */
import type { InferenceSession, Tensor, TensorConstructor } from 'onnxruntime-common'
import { AppError, invariant } from '#shared/base/errors.ts'
import type { Provider } from '#shared/job/job.ts'
import { listExternalData } from './onnx-external.ts'

export type Feed = {
  readonly [T in Exclude<Tensor.Type, 'string'>]: {
    readonly type: T
    readonly data: Tensor.DataTypeMap[T]
    readonly dims: readonly number[]
  }
}[Exclude<Tensor.Type, 'string'>]

/** An output tensor. It may stay on the device and be fed to the same session again. */
export type { Tensor as SessionTensor } from 'onnxruntime-common'

export interface FloatTensor {
  readonly data: Float32Array
  readonly dims: readonly number[]
}

/** An input of a graph. A dimension without a fixed size has a name or an empty string. */
export interface InputInfo {
  readonly name: string
  readonly type: Tensor.Type
  readonly shape: readonly (number | string)[]
}

export interface RuntimeSession {
  readonly inputs: readonly InputInfo[]
  readonly outputNames: readonly string[]
  run(feeds: Readonly<Record<string, Feed | Tensor>>): Promise<Readonly<Record<string, Tensor>>>
  release(): Promise<void>
}

export interface SessionOptions {
  /** External data of the graph, by the names in the graph. */
  readonly external?: ReadonlyMap<string, Uint8Array>
  /** Outputs that stay on the device where there is one: for tensors that only feed the next run. */
  readonly onDevice?: readonly string[]
  /** Short runs that follow each other: several threads would spend more time waiting than working. */
  readonly isStepwise?: boolean
}

export interface SessionFactory {
  /** @throws {AppError} invalid_request when the graph names a file that is not among `external` */
  create(model: Uint8Array, provider: Provider, options?: SessionOptions): Promise<RuntimeSession>
}

/** The part of `onnxruntime-node` and `onnxruntime-web` that a session factory needs. */
export interface OrtModule {
  readonly InferenceSession: {
    create(model: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession>
  }
  readonly Tensor: TensorConstructor
}

/** Spinning threads waste a core: 1.1 against 3 ms of CPU a token of the small chat model. */
const NO_SPINNING = { session: { intra_op: { allow_spinning: '0' } } }

/**
 * Graphs up to this size have steps too short for several threads. On two cores the small chat model (8 MB) is 1.5
 * times as fast with one thread. It then does not wait for a core that node or Worker hold.
 */
const ONE_THREAD_BYTES = 16 * 1024 * 1024

/** Sessions of one ORT build. Warnings of its optimiser are not logged. */
export function createOrtSessions(ort: OrtModule): SessionFactory {
  return {
    async create(model, provider, { external = new Map(), onDevice = [], isStepwise } = {}) {
      const isShort = isStepwise === true && sizeOf(model, external) <= ONE_THREAD_BYTES
      const session = await ort.InferenceSession.create(model, {
        executionProviders: [provider],
        logSeverityLevel: 3,
        ...(provider === 'cpu' ? { extra: NO_SPINNING } : {}),
        ...(provider === 'cpu' && isShort ? { intraOpNumThreads: 1 } : {}),
        ...externalData(model, external),
        ...(provider === 'webgpu' && onDevice.length > 0 ? keepOnDevice(onDevice) : {}),
      })
      return wrapSession(ort, session)
    },
  }
}

export async function readFloats(tensor: Tensor | undefined): Promise<FloatTensor> {
  invariant(tensor !== undefined, 'the graph has this output')
  const data = tensor.location === 'cpu' ? tensor.data : await tensor.getData()
  return { data: toFloats(data, tensor.type), dims: tensor.dims }
}

/** Gives the only output of a graph. */
export function firstFloats(
  session: RuntimeSession,
  outputs: Readonly<Record<string, Tensor>>,
): Promise<FloatTensor> {
  return readFloats(outputs[session.outputNames[0] ?? ''])
}

function sizeOf(model: Uint8Array, external: ReadonlyMap<string, Uint8Array>): number {
  const named = new Set(listExternalData(model))
  return [...named].reduce((sum, path) => sum + (external.get(path)?.length ?? 0), model.length)
}

function externalData(
  model: Uint8Array,
  external: ReadonlyMap<string, Uint8Array>,
): Pick<InferenceSession.SessionOptions, 'externalData'> {
  const paths = listExternalData(model)
  if (paths.length === 0) return {}
  return {
    externalData: paths.map((path) => {
      const data = external.get(path)
      if (data === undefined) {
        const named = JSON.stringify(path.slice(0, 128))
        throw new AppError(
          'invalid_request',
          `The graph keeps weights in ${named}, which is not a file of its manifest.`,
        )
      }
      return { path, data }
    }),
  }
}

function keepOnDevice(
  names: readonly string[],
): Pick<InferenceSession.SessionOptions, 'preferredOutputLocation'> {
  return {
    preferredOutputLocation: Object.fromEntries(names.map((name) => [name, 'gpu-buffer'] as const)),
  }
}

function wrapSession(ort: OrtModule, session: InferenceSession): RuntimeSession {
  return {
    inputs: session.inputMetadata.flatMap((info) =>
      info.isTensor ? [{ name: info.name, type: info.type, shape: info.shape }] : [],
    ),
    outputNames: session.outputNames,
    run(feeds) {
      const tensors = Object.fromEntries(
        Object.entries(feeds).map(([name, feed]) => [
          name,
          asBits('location' in feed ? feed : new ort.Tensor(feed.type, feed.data, feed.dims)),
        ]),
      )
      return session.run(tensors)
    },
    release: () => session.release(),
  }
}

/** `onnxruntime-node` 1.30 reads a Float16Array as empty, but the same bytes as a Uint16Array correctly. */
function asBits(tensor: Tensor): Tensor {
  if (tensor.type !== 'float16' || tensor.location !== 'cpu') return tensor
  const { data } = tensor
  if (data instanceof Uint16Array || Array.isArray(data)) return tensor
  const value = new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2)
  return Object.defineProperty(tensor, 'data', { value, configurable: true })
}

function toFloats(data: Tensor.DataType, type: Tensor.Type): Float32Array {
  if (data instanceof Float32Array) return data
  if (type === 'float16' && !Array.isArray(data)) {
    const bits = new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2)
    return Float32Array.from(bits, halfToFloat)
  }
  throw new AppError('internal', `An output is ${type}, and floats were expected.`)
}

/** Decodes IEEE 754 binary16 from its bits: not all browsers have Float16Array. */
function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}
