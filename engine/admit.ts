/** Admits a model on a provider when its golden run agrees with the manifest. The same run measures its speed. */
import { decodeBase64 } from '#shared/base/base64.ts'
import { AppError, invariant } from '#shared/base/errors.ts'
import { manifestDigest, type GoldenCase, type ModelManifest } from '#shared/job/model.ts'
import { decodeFloats, type TensorValue } from '#shared/job/tensor.ts'
import { createModelRunner, type ModelRunner, type RunnerOptions } from './models/runner.ts'

export type LoadedModel = Awaited<ReturnType<typeof admitModel>>

export interface AdmitOptions extends RunnerOptions {
  readonly manifest: ModelManifest
  readonly now: () => number
}

/** @throws {AppError} internal, with the first output that disagrees or the provider's own error */
export async function admitModel(options: AdmitOptions) {
  const { manifest, files, provider, sessions, now } = options
  const loaded = await createModelRunner({ manifest, files, sessions, provider, now })
  const { runner } = loaded
  try {
    for (const golden of manifest.golden) await checkGolden(manifest, runner, golden)
    // The first run compiled shaders. This one takes as long as a caller's will.
    const startedMs = now()
    await runGolden(manifest, runner, manifest.golden[0])
    const serviceMs = now() - startedMs
    const admitted = { id: manifest.id, digest: manifestDigest(manifest), provider, serviceMs }
    const recheck = () => checkGolden(manifest, runner, manifest.golden[0])
    return {
      manifest,
      admitted,
      runner,
      /** Repeats the first golden case. @throws when the answer is no longer right, so the runtime is broken */
      recheck,
      release: () => loaded.release(),
    }
  } catch (error) {
    await loaded.release()
    throw error
  }
}

async function checkGolden(
  manifest: ModelManifest,
  runner: ModelRunner,
  golden: GoldenCase | undefined,
): Promise<void> {
  const outputs = await runGolden(manifest, runner, golden)
  for (const [index, expected] of (golden?.outputs ?? []).entries()) {
    const name = manifest.outputs[index]?.name ?? String(index)
    const tensor = manifest.outputs[index]
    const isFloat = tensor?.datatype === 'FP32'
    const output = outputs[index]
    const difference =
      output === undefined
        ? 'is missing'
        : differs(
            output,
            toValue(expected),
            isFloat ? (tensor.tolerance ?? manifest.tolerance) : undefined,
          )
    if (difference !== undefined)
      throw new AppError('internal', `${manifest.id}: golden output ${name} ${difference}`)
  }
}

function runGolden(
  manifest: ModelManifest,
  runner: ModelRunner,
  golden: GoldenCase | undefined,
): Promise<TensorValue[]> {
  const inputs = (golden?.inputs ?? []).map(toValue)
  if (inputs.length !== manifest.inputs.length)
    throw new AppError('internal', `${manifest.id}: a golden case lacks an input`)
  return runner.run(inputs, new AbortController().signal)
}

function differs(
  actual: TensorValue,
  expected: TensorValue,
  tolerance: number | undefined,
): string | undefined {
  if (actual.shape.join() !== expected.shape.join())
    return `has shape [${actual.shape.join()}], expected [${expected.shape.join()}]`
  if (tolerance === undefined)
    return sameBytes(actual.bytes, expected.bytes) ? undefined : 'has other bytes'
  const [got, wanted] = [decodeFloats(actual.bytes), decodeFloats(expected.bytes)]
  let worst = 0
  for (const [i, value] of got.entries()) {
    const difference = Math.abs(value - (wanted[i] ?? Number.NaN))
    if (Number.isNaN(difference)) return 'is not a number'
    worst = Math.max(worst, difference)
  }
  return worst <= tolerance ? undefined : `is off by ${worst}, tolerance ${tolerance}`
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}

function toValue({ shape, data }: { shape: readonly number[]; data: string }): TensorValue {
  const bytes = decodeBase64(data)
  invariant(bytes, 'the golden case is in base64')
  return { shape, bytes }
}
