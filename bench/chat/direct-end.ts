/** Runs the chat runtime directly, without queue, node or network, in a process of its own as a node's engine does. */
import { readFile } from 'node:fs/promises'
import * as ort from 'onnxruntime-node'
import { createModelRunner } from '#engine/models/runner.ts'
import { createOrtSessions } from '#engine/runtime/runtime-session.ts'
import { modelFilePath } from '#local-node/models/model-path.ts'
import { invariant } from '#shared/base/errors.ts'
import type { Provider } from '#shared/job/job.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'
import type { TextInput } from '#shared/job/text.ts'
import { createTextMeter } from '#shared/job/text-meter.ts'

export interface AskDirect {
  readonly model: string
  readonly provider: Provider
  readonly input: TextInput
  readonly maxTokens: number
}

export interface TextTiming {
  readonly tokens: number
  readonly firstTokenMs: number
  readonly totalMs: number
}

export type FromDirect = { readonly timing: TextTiming } | { readonly error: string }

const opened = new Map<string, ReturnType<typeof openModel>>()

process.on('message', (ask: AskDirect) => {
  time(ask).then(
    (timing) => say({ timing }),
    (error: unknown) => say({ error: error instanceof Error ? error.message : String(error) }),
  )
})
process.on('disconnect', () => process.exit(0))

function say(message: FromDirect): void {
  process.send?.(message)
}

async function time({ model, provider, input, maxTokens }: AskDirect): Promise<TextTiming> {
  const opening = opened.get(model) ?? openModel(model, provider)
  opened.set(model, opening)
  const { generate } = (await opening).runner
  invariant(generate, `${model} writes text`)
  const meter = createTextMeter(maxTokens)
  const startedMs = performance.now()
  let firstTokenMs: number | undefined
  await generate({
    input,
    maxTokens,
    signal: new AbortController().signal,
    async emit(line) {
      firstTokenMs ??= performance.now() - startedMs
      meter.push(line)
    },
    now: () => performance.now(),
  })
  const totalMs = performance.now() - startedMs
  return { tokens: meter.finish().tokens, firstTokenMs: firstTokenMs ?? totalMs, totalMs }
}

async function openModel(model: string, provider: Provider) {
  const manifest = MANIFESTS.find(({ id }) => id === model)
  invariant(manifest, `no manifest ${model}`)
  const files = new Map<string, Uint8Array>()
  for (const file of manifest.files) files.set(file.name, await readFile(modelFilePath(file)))
  return createModelRunner({ manifest, files, sessions: createOrtSessions(ort), provider })
}
