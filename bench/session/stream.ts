/** One session of the whole path, and how many steps a second it takes before its answers come late. */
import { setTimeout as sleep } from 'node:timers/promises'
import { encodeBase64 } from '#shared/base/base64.ts'
import { openSession, type SessionClient } from '#test/support/stack/session-client.ts'
import { bearer } from '../gateway/full-path.ts'
import type { Running } from '../harness/live-stack.ts'

/** Bytes of a step's input and of its output. */
export const STEP_BYTES = 1024
/** With more unanswered steps a stream has fallen behind. Their results stay under the 64 KiB that may be unread. */
const MOST_WAITING = 24

const WGSL = `
@group(0) @binding(0) var<storage, read_write> sum: array<f32>;
@group(0) @binding(1) var<storage, read> window: array<f32>;
@group(0) @binding(2) var<storage, read_write> result: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < ${STEP_BYTES / 4}u) {
    sum[id.x] += window[id.x];
    result[id.x] = sum[id.x];
  }
}`

const INPUT = [{ binding: 1, data: encodeBase64(new Uint8Array(STEP_BYTES)) }]

export function openStream(running: Running): Promise<SessionClient> {
  const headers = { authorization: bearer(running) }
  return openSession(
    { url: `${running.url}/v1/sessions`, headers },
    {
      kernel: { wgsl: WGSL, entryPoint: 'main', workgroups: [STEP_BYTES / 256, 1, 1] },
      buffers: [
        { role: 'state', binding: 0, sizeBytes: STEP_BYTES },
        { role: 'input', binding: 1, sizeBytes: STEP_BYTES },
        { role: 'output', binding: 2, sizeBytes: STEP_BYTES },
      ],
    },
  )
}

/** @returns milliseconds that the node computed */
export async function step(stream: SessionClient): Promise<number> {
  return (await stream.step(INPUT)).computeMs
}

export interface PacedSteps {
  /** From when each step was due. */
  readonly latencyMs: readonly number[]
  readonly latencyLessComputeMs: readonly number[]
}

/** Sends steps at a fixed rate. @returns undefined when the stream falls behind */
export async function pace(
  stream: SessionClient,
  load: { readonly perSecond: number; readonly count: number },
): Promise<PacedSteps | undefined> {
  const startedMs = performance.now()
  const latencyMs: number[] = []
  const latencyLessComputeMs: number[] = []
  const sent: Promise<void>[] = []
  for (let index = 0; index < load.count; index += 1) {
    const dueMs = startedMs + (index * 1000) / load.perSecond
    await sleep(Math.max(0, dueMs - performance.now()))
    if (sent.length - latencyMs.length > MOST_WAITING) break
    const answer = step(stream).then((computeMs) => {
      const ms = performance.now() - dueMs
      latencyMs.push(ms)
      latencyLessComputeMs.push(ms - computeMs)
    })
    sent.push(answer)
  }
  await Promise.all(sent)
  return sent.length === load.count ? { latencyMs, latencyLessComputeMs } : undefined
}
