/** ONNX Runtime as the engine sees it: the same few calls in Node and in a tab. */
import type { InferenceSession, Tensor, TypedTensor } from 'onnxruntime-common'
import { invariant } from '#shared/errors.ts'
import type { Provider } from '#shared/job.ts'

/** A tensor that goes into a session. */
export type Feed =
  | { readonly type: 'int64'; readonly data: BigInt64Array; readonly dims: readonly number[] }
  | { readonly type: 'float32'; readonly data: Float32Array; readonly dims: readonly number[] }

/** A float tensor that came out of one. */
export interface FloatTensor {
  readonly data: Float32Array
  readonly dims: readonly number[]
}

export interface Session {
  /** Runs the graph and gives the first output, which is the only one that our models have. */
  run(feeds: Readonly<Record<string, Feed>>): Promise<FloatTensor>
  release(): Promise<void>
}

export interface SessionFactory {
  create(model: Uint8Array, provider: Provider): Promise<Session>
}

/** The part of `onnxruntime-node` and `onnxruntime-web` that a session factory needs. */
export interface OrtModule {
  readonly InferenceSession: {
    create(model: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession>
  }
  readonly Tensor: {
    new (type: 'int64', data: BigInt64Array, dims: readonly number[]): TypedTensor<'int64'>
    new (type: 'float32', data: Float32Array, dims: readonly number[]): TypedTensor<'float32'>
  }
}

/** Sessions of one ORT build; warnings of its optimiser stay out of the log. */
export function createOrtSessions(ort: OrtModule): SessionFactory {
  return {
    async create(model, provider) {
      const session = await ort.InferenceSession.create(model, {
        executionProviders: [provider],
        logSeverityLevel: 3,
      })
      return wrapSession(ort, session)
    },
  }
}

function wrapSession(ort: OrtModule, session: InferenceSession): Session {
  const output = session.outputNames[0]
  invariant(output !== undefined, 'a model has an output')
  return {
    async run(feeds) {
      const tensors = Object.fromEntries(
        Object.entries(feeds).map(([name, feed]) => [name, toTensor(ort, feed)]),
      )
      const result = (await session.run(tensors))[output]
      invariant(result?.data instanceof Float32Array, 'the output is float32 on the host')
      return { data: result.data, dims: result.dims }
    },
    release: () => session.release(),
  }
}

function toTensor(ort: OrtModule, feed: Feed): Tensor {
  return feed.type === 'int64'
    ? new ort.Tensor('int64', feed.data, feed.dims)
    : new ort.Tensor('float32', feed.data, feed.dims)
}
