/** Runs one text job: parses the request, emits the model's events, and describes the answer. */
import { AppError, faultsError } from '#shared/base/errors.ts'
import type { Answer, TextWork } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { TEXT_OUTPUT, TextInput } from '#shared/job/text.ts'
import type { RunOptions } from './engine.ts'
import type { Generate } from './models/text/generate.ts'

export interface TextJob extends RunOptions {
  readonly work: TextWork
  readonly payload: Uint8Array
  readonly generate: Generate | undefined
  readonly now: () => number
}

/** @throws {AppError} invalid_request, cancelled; too_large for an answer over the output limit */
export async function runTextWork(job: TextJob): Promise<Pick<Answer, 'outputs' | 'computeMs'>> {
  const { work, payload, generate, now } = job
  if (generate === undefined) throw new AppError('invalid_request', `${work.model} writes no text.`)
  const input = parseInput(payload)
  // The caller has given up by then.
  const signal = AbortSignal.any([job.signal, AbortSignal.timeout(LIMITS.jobTimeoutMs)])
  let sizeBytes = 0
  const emit = (line: Uint8Array) => {
    sizeBytes += line.length
    if (sizeBytes > LIMITS.jobOutputBytes)
      throw new AppError('too_large', `The answer passes ${LIMITS.jobOutputBytes} bytes.`)
    return job.emit(line)
  }
  const startedMs = now()
  await generate({ input, maxTokens: work.maxTokens, signal, emit, now })
  const outputs = [{ name: TEXT_OUTPUT, datatype: 'UINT8' as const, shape: [sizeBytes], sizeBytes }]
  return { outputs, computeMs: now() - startedMs }
}

function parseInput(payload: Uint8Array): TextInput {
  const parsed = TextInput.safeParse(parseJson(payload))
  if (parsed.success) return parsed.data
  const faults = parsed.error.issues.slice(0, 16).map(({ path, message }) => ({
    pointer: path.map((part) => `/${String(part)}`).join(''),
    detail: message,
  }))
  throw faultsError(faults)
}

function parseJson(payload: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload))
  } catch (cause) {
    throw new AppError('invalid_request', 'A text job brings its request as JSON.', { cause })
  }
}
