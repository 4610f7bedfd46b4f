/** Number of threads of a model's session, recorded while real sessions are opened. */
import { readFile } from 'node:fs/promises'
import * as ort from 'onnxruntime-node'
import { expect, test } from 'vitest'
import { createOrtSessions } from '#engine/runtime/runtime-session.ts'
import { repositoryPath } from '#scripts/base/paths.ts'

test('[G13] graphs of short steps run on one thread, others on the runtime’s default', async () => {
  const threads: (number | undefined)[] = []
  const { Tensor, InferenceSession } = ort
  const sessions = createOrtSessions({
    Tensor,
    InferenceSession: {
      create(model, options) {
        threads.push(options.intraOpNumThreads)
        return InferenceSession.create(model, options)
      },
    },
  })
  const graph = await readFile(repositoryPath('models/littoral-chat-2m/onnx/model.onnx'))
  const opened = [
    await sessions.create(graph, 'cpu', { isStepwise: true }),
    await sessions.create(graph, 'cpu'),
  ]
  for (const session of opened) await session.release()
  expect(threads).toEqual([1, undefined])
})
