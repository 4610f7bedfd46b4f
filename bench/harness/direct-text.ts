/** Calls the chat runtime directly on this machine, as the peer of text through the network. */
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

export interface TextTiming {
  readonly tokens: number
  readonly text: string
  readonly firstTokenMs: number
  readonly totalMs: number
}

export interface DirectText {
  time(input: TextInput, maxTokens: number): Promise<TextTiming>
  close(): Promise<void>
}

/** Opens one of our chat models without engine, queue, node or network around it. */
export async function openDirectText(
  model: string,
  provider: Provider = 'cpu',
): Promise<DirectText> {
  const manifest = MANIFESTS.find(({ id }) => id === model)
  invariant(manifest, `no manifest ${model}`)
  const files = new Map<string, Uint8Array>()
  for (const file of manifest.files) files.set(file.name, await readFile(modelFilePath(file)))
  const sessions = createOrtSessions(ort)
  const loaded = await createModelRunner({ manifest, files, sessions, provider })
  const { generate } = loaded.runner
  invariant(generate, `${model} writes text`)
  return {
    async time(input, maxTokens) {
      const meter = createTextMeter(maxTokens)
      const startedMs = performance.now()
      let firstTokenMs: number | undefined
      let text = ''
      await generate({
        input,
        maxTokens,
        signal: new AbortController().signal,
        async emit(line) {
          firstTokenMs ??= performance.now() - startedMs
          for (const event of meter.push(line)) text += 'text' in event ? event.text : ''
        },
        now: () => performance.now(),
      })
      const totalMs = performance.now() - startedMs
      const { tokens } = meter.finish()
      return { tokens, text, firstTokenMs: firstTokenMs ?? totalMs, totalMs }
    },
    close: () => loaded.release(),
  }
}
