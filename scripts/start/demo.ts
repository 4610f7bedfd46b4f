/** The two requests that `npm start` sends, as an IoT backend would. */
import { readFile } from 'node:fs/promises'
import { decodePng } from '#engine/media/png.ts'
import { vibrationWindow } from '#examples/vibration.ts'
import { SPECTRUM_KERNEL } from '#engine/kernels/spectrum.ts'
import { repositoryPath } from '#scripts/base/paths.ts'
import { parseServerTiming, type Answered } from './answer.ts'

/** The policy of both requests: only in Germany or France, on nodes that the operator knows. */
export const PINNED_POLICY = {
  id: 'meters-de-fr',
  compute: { allow: ['DE', 'FR'] },
  minEvidence: 'observed',
  dataClass: 'personal',
  nodeTrust: 'verified',
}

/** The default policy of the demo's tenant: public data, any node in the EEA, tabs included. */
export const OPEN_POLICY = {
  id: 'open-eea',
  compute: { allow: ['EEA'] },
  minEvidence: 'observed',
  dataClass: 'public',
}

export interface DemoClient {
  readonly url: string
  readonly apiKey: string
}

/** Reads a meter photo with PP-OCR over the Open Inference Protocol. */
export async function readMeter(client: DemoClient): Promise<Answered> {
  const { rgb, width, height } = await decodePng(
    await readFile(repositoryPath('examples/meter.png')),
  )
  const image = {
    name: 'image',
    datatype: 'UINT8',
    shape: [height, width, 3],
    parameters: { encoding: 'base64' },
    data: Buffer.from(rgb).toString('base64'),
  }
  const { body, headers } = await post(client, '/v2/models/pp-ocr-rec/infer', { inputs: [image] })
  const outputs = (body as { outputs: { name: string; data: unknown[] }[] }).outputs
  const text = outputs.find((output) => output.name === 'text')?.data[0]
  return describe('meter photo → text', String(text), headers)
}

/** Finds the strongest tone in 4,096 vibration samples with a spectrum kernel. */
export async function analyseVibration(client: DemoClient): Promise<Answered> {
  const { samples, sampleRateHz } = vibrationWindow()
  const { kernel, buffers } = SPECTRUM_KERNEL.request(samples)
  const { body, headers } = await post(client, '/v1/compute', { kernel, buffers })
  const [output] = (body as { outputs: { binding: number; data: string }[] }).outputs
  const bytes = Buffer.from(output?.data ?? '', 'base64')
  const power = new Float32Array(
    bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
  )
  const tone = SPECTRUM_KERNEL.strongestTone(power, sampleRateHz)
  return describe('vibration window → strongest tone', `${tone.frequencyHz.toFixed(2)} Hz`, headers)
}

async function post(
  client: DemoClient,
  path: string,
  body: unknown,
): Promise<{ body: unknown; headers: Headers }> {
  const response = await fetch(`${client.url}${path}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${client.apiKey}`,
      'content-type': 'application/json',
      'x-littoral-policy': PINNED_POLICY.id,
    },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(90_000),
  })
  const answer: unknown = await response.json()
  if (!response.ok)
    throw new Error(`${path} answered ${response.status}: ${JSON.stringify(answer)}`)
  return { body: answer, headers: response.headers }
}

function describe(request: string, answer: string, headers: Headers): Answered {
  const text = (name: string) => headers.get(name) ?? ''
  return {
    request,
    answer,
    node: text('x-littoral-node'),
    region: text('x-littoral-region'),
    evidence: text('x-littoral-evidence'),
    provider: text('x-littoral-provider'),
    adapter: text('x-littoral-adapter'),
    receipt: text('x-littoral-receipt'),
    policy: text('x-littoral-policy'),
    timing: parseServerTiming(text('server-timing')),
  }
}
