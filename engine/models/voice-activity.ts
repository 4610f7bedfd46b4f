/** Finds speech in a sound with Silero VAD: a probability for each 32 ms, and the segments that follow from them. */
import { invariant } from '#shared/base/errors.ts'
import { cancelled } from '#shared/base/deadline.ts'
import { decodeAudio } from '../media/audio.ts'
import { mediaInput } from '../media/media-input.ts'
import type { ModelRunner } from './runner.ts'
import { floatTensor } from './tensors.ts'
import { readFloats, type RuntimeSession } from '#engine/runtime/runtime-session.ts'

const RATE_HZ = 16_000
const FRAME_SAMPLES = 512
/** Samples of the previous frame that the graph reads again. */
const CONTEXT_SAMPLES = 64
const STATE_DIMS = [2, 1, 128] as const
const FRAME_S = FRAME_SAMPLES / RATE_HZ
/** Silero's own defaults: https://github.com/snakers4/silero-vad/blob/v6.0/src/silero_vad/utils_vad.py, get_speech_timestamps. */
const SPEECH = 0.5
const SILENCE = 0.35
const MIN_SPEECH_S = 0.25
const MIN_SILENCE_S = 0.1
const PAD_S = 0.03

export type Segment = readonly [fromS: number, toS: number]

export function createVoiceActivityRunner(session: RuntimeSession): ModelRunner {
  return {
    async run(inputs, signal) {
      const { samples } = await decodeAudio(mediaInput(inputs), RATE_HZ, signal)
      const probabilities = await listen(session, samples, signal)
      const segments = findSpeech(probabilities, samples.length / RATE_HZ)
      return [
        floatTensor([segments.length, 2], segments.flat()),
        floatTensor([probabilities.length], probabilities),
      ]
    },
  }
}

/** Runs the model once for each frame, since each needs the state of the previous one. The last frame is padded with silence. */
async function listen(
  session: RuntimeSession,
  samples: Float32Array,
  signal: AbortSignal,
): Promise<Float32Array> {
  const probabilities = new Float32Array(Math.ceil(samples.length / FRAME_SAMPLES))
  let state = new Float32Array(STATE_DIMS[0] * STATE_DIMS[2])
  for (let frame = 0; frame < probabilities.length; frame++) {
    if (signal.aborted) throw cancelled()
    const data = new Float32Array(CONTEXT_SAMPLES + FRAME_SAMPLES)
    const start = frame * FRAME_SAMPLES
    const from = Math.max(0, start - CONTEXT_SAMPLES)
    data.set(samples.subarray(from, start + FRAME_SAMPLES), CONTEXT_SAMPLES - (start - from))
    const outputs = await session.run({
      input: { type: 'float32', data, dims: [1, data.length] },
      state: { type: 'float32', data: state, dims: STATE_DIMS },
      sr: { type: 'int64', data: BigInt64Array.of(BigInt(RATE_HZ)), dims: [] },
    })
    state = new Float32Array((await readFloats(outputs.stateN)).data)
    const [probability] = (await readFloats(outputs.output)).data
    invariant(probability !== undefined, 'the graph gives one probability')
    probabilities[frame] = probability
  }
  return probabilities
}

/** Finds the segments of speech. Speech begins at {@link SPEECH} and ends when it stays under {@link SILENCE} for long enough. */
export function findSpeech(probabilities: Float32Array, durationS: number): Segment[] {
  const segments: Segment[] = []
  let fromS: number | undefined
  let quietS: number | undefined
  const close = (start: number, end: number) => {
    if (end - start >= MIN_SPEECH_S) segments.push([start, end])
  }
  for (const [frame, probability] of probabilities.entries()) {
    const atS = frame * FRAME_S
    if (probability >= SPEECH) {
      fromS ??= atS
      quietS = undefined
    } else if (probability < SILENCE && fromS !== undefined) {
      quietS ??= atS
      if (atS + FRAME_S - quietS < MIN_SILENCE_S) continue
      close(fromS, quietS)
      fromS = undefined
      quietS = undefined
    }
  }
  if (fromS !== undefined) close(fromS, quietS ?? durationS)
  return segments.map(([start, end]) => [
    Math.max(0, start - PAD_S),
    Math.min(durationS, end + PAD_S),
  ])
}
