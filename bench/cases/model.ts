/** Measures what the network adds: the same job by HTTP through Worker, hub and node, and straight on the node's engine. */
import { readFile } from 'node:fs/promises'
import { decodePng } from '#engine/media/png.ts'
import type { Engine } from '#engine/engine.ts'
import { SPECTRUM_KERNEL } from '#engine/kernels/spectrum.ts'
import { vibrationWindow } from '#examples/vibration.ts'
import { createNodeEngine } from '#local-node/engine/engine-host.ts'
import { repositoryPath } from '#scripts/base/paths.ts'
import { parseServerTiming } from '#scripts/start/answer.ts'
import type { Work } from '#shared/job/job.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'
import { manifestDigest, type ModelManifest } from '#shared/job/model.ts'
import { ComputeRequest, decodeCompute } from '#worker/api/compute/compute.ts'
import { decodeEmbeddings, EmbeddingsRequest } from '#worker/api/openai/embeddings.ts'
import { decodeInfer, InferRequest } from '#worker/api/oip/oip.ts'
import type { BenchContext } from '../harness/context.ts'
import {
  drive,
  measureSection,
  type BenchResult,
  type Contender,
  type Samples,
  type Section,
} from '../harness/harness.ts'
import { createHttpClient, type HttpCall, type HttpClient } from '../harness/http-client.ts'

/** One job, as a client sends it and as an engine gets it. */
interface Task {
  readonly name: string
  readonly path: string
  readonly body: unknown
  readonly work: Work
  readonly payload: Uint8Array
  /** Requests in one repetition. */
  readonly count: number
}

export async function measureModel({ log, quick, stack }: BenchContext): Promise<BenchResult> {
  const running = await stack.running()
  const client = createHttpClient(running.url, 1)
  const engine = await createNodeEngine({ device: 'auto', kernels: 'any', log })
  try {
    const headers = {
      authorization: `Bearer ${running.apiKey}`,
      'content-type': 'application/json',
    }
    const sections: Section[] = []
    for (const task of [await embeddingTask(), await ocrTask(), await spectrumTask()]) {
      const { path, body } = task
      const call: HttpCall = { method: 'POST', path, headers, body: JSON.stringify(body) }
      const providers = await providersOf({ task, call, client, engine })
      sections.push(
        await measureSection({
          name: `${task.name} on ${providers}`,
          contenders: [
            directRun(task, { engine, quick }),
            networkRun(task, { client, call, quick }),
          ],
          comparisons: [{ of: 'network', to: 'direct', metric: 'latencyMs' }],
          rounds: quick ? 2 : 5,
        }),
      )
    }
    return {
      name: 'model',
      title: 'time of one job through the network over the same job straight on the engine',
      sections,
      includes: INCLUDES,
      notes: [
        'Direct runs use a second engine of the same kind on the same machine; only one of the two works at a time.',
      ],
    }
  } finally {
    client.close()
    await engine.close()
  }
}

const INCLUDES = {
  direct: "`engine.run` of a local node's engine: checks, queue, the engine's own process and back",
  network:
    'HTTP client → Worker → hub → node → engine and all the way back; edge, queue, network and compute as the answer tells them',
}

function manifestOf(id: string): ModelManifest {
  const manifest = MANIFESTS.find((candidate) => candidate.id === id)
  if (manifest === undefined) throw new Error(`there is no model ${id}`)
  return manifest
}

async function embeddingTask(): Promise<Task> {
  const manifest = manifestOf('littoral-embed-400k')
  const body = EmbeddingsRequest.parse({
    model: manifest.id,
    input: 'pump 7 runs hot and vibrates since the night shift',
    encoding_format: 'base64',
  })
  const { headers, payload } = decodeEmbeddings(manifest, body)
  const work = modelWork(manifest, headers)
  return {
    name: `embedding ${manifest.id}`,
    path: '/v1/embeddings',
    body,
    work,
    payload,
    count: 20,
  }
}

async function ocrTask(): Promise<Task> {
  const manifest = manifestOf('pp-ocr-rec')
  const { rgb, width, height } = await decodePng(
    await readFile(repositoryPath('examples/meter.png')),
  )
  const body = {
    inputs: [
      {
        name: 'image',
        datatype: 'UINT8',
        shape: [height, width, 3],
        parameters: { encoding: 'base64' },
        data: Buffer.from(rgb).toString('base64'),
      },
    ],
  }
  const { headers, payload } = decodeInfer(manifest, InferRequest.parse(body))
  const work = modelWork(manifest, headers)
  const path = `/v2/models/${manifest.id}/infer`
  return { name: `OCR ${manifest.id}, ${width}×${height}`, path, body, work, payload, count: 6 }
}

function modelWork(
  manifest: ModelManifest,
  inputs: ReturnType<typeof decodeInfer>['headers'],
): Work {
  return { kind: 'model', model: manifest.id, digest: manifestDigest(manifest), inputs }
}

async function spectrumTask(): Promise<Task> {
  const { kernel, buffers } = SPECTRUM_KERNEL.request(vibrationWindow().samples)
  const body = { kernel, buffers }
  const { work, payload } = await decodeCompute(ComputeRequest.parse(body))
  return {
    name: 'spectrum kernel, 4,096 samples',
    path: '/v1/compute',
    body,
    work,
    payload,
    count: 10,
  }
}

interface Ends {
  readonly task: Task
  readonly call: HttpCall
  readonly client: HttpClient
  readonly engine: Engine
}

/** Runs each way once and names its provider: a ratio between two providers would compare nothing. */
async function providersOf({ task, call, client, engine }: Ends): Promise<string> {
  const { headers } = await client.send(call)
  const { provider, adapter } = await runDirect(task, engine)
  const there = `${String(headers['x-littoral-provider'])}, ${String(headers['x-littoral-adapter'])}`
  const here = `${provider}, ${adapter.name}${adapter.isSoftware ? '; software' : ''}`
  return there === here ? here : `${there} through the network and ${here} directly`
}

function runDirect(task: Task, engine: Engine) {
  const signal = AbortSignal.timeout(60_000)
  return engine.run(task.work, task.payload, { signal, emit: () => Promise.resolve() })
}

function directRun(
  task: Task,
  { engine, quick }: { readonly engine: Engine; readonly quick: boolean },
): Contender {
  return {
    name: 'direct',
    async run(): Promise<Samples> {
      const runs = await drive({ count: countOf(task, quick), inFlight: 1 }, () =>
        runDirect(task, engine),
      )
      return {
        latencyMs: runs.map(({ ms }) => ms),
        computeMs: runs.map(({ value }) => value.computeMs),
      }
    },
  }
}

function networkRun(
  task: Task,
  {
    client,
    call,
    quick,
  }: { readonly client: HttpClient; readonly call: HttpCall; readonly quick: boolean },
): Contender {
  return {
    name: 'network',
    async run(): Promise<Samples> {
      const runs = await drive({ count: countOf(task, quick), inFlight: 1 }, async () => {
        const { headers } = await client.send(call)
        return parseServerTiming(String(headers['server-timing'] ?? ''))
      })
      const phase = (name: string) => runs.map(({ value }) => value[name] ?? 0)
      return {
        latencyMs: runs.map(({ ms }) => ms),
        edgeMs: phase('edge'),
        queueMs: phase('queue'),
        networkMs: phase('network'),
        computeMs: phase('compute'),
      }
    },
  }
}

function countOf(task: Task, quick: boolean): number {
  return quick ? Math.ceil(task.count / 5) : task.count
}
