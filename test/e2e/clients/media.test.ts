/** Pictures and sound through the whole system, as JSON over the Open Inference Protocol. */
import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { repositoryPath } from '#scripts/base/paths.ts'
import { MEDIA_MODELS } from '#test/suites/media.ts'
import { pngOf } from '#test/support/engine/media-files.ts'
import { openPolicy, useStack } from '#test/support/stack/stack.ts'
import { MEDIA_BYTES } from '#shared/job/model.ts'

const { stack, tenant } = useStack({ scopes: ['infer', 'policy'], policies: [openPolicy('DE')] })
beforeAll(async () => {
  const options = ['--models', MEDIA_MODELS.join(',')]
  await stack.startNode({ name: 'de', region: 'DE', device: 'cpu', verified: true, options })
})

const example = (name: string) => new Uint8Array(readFileSync(repositoryPath(`examples/${name}`)))

function infer(model: string, name: string, file: Uint8Array) {
  const data = [Buffer.from(file).toString('base64')]
  const tensor = { name, datatype: 'BYTES', shape: [1], data }
  return stack.post(tenant, `/v2/models/${model}/infer`, { inputs: [tensor] })
}

/** Returns the outputs by name. */
async function answered(model: string, name: string, file: Uint8Array) {
  const { status, body } = await infer(model, name, file)
  expect(body).toMatchObject({ model_name: model })
  expect(status).toBe(200)
  const outputs = body.outputs as { name: string; shape: number[]; data: unknown[] }[]
  return Object.fromEntries(outputs.map((output) => [output.name, output]))
}

describe('a base64 file is answered in JSON with', () => {
  it('the text of a nameplate', async () => {
    const { text, confidence, box } = await answered('pp-ocr', 'image', example('nameplate.png'))
    expect(text?.data).toContain('Flow 12.5 m3/h')
    expect(confidence?.shape).toEqual([4])
    expect(box?.shape).toEqual([4, 4, 2])
  })

  it('the cat in a picture', async () => {
    const { label, box } = await answered('nanodet-g', 'image', example('cat.jpg'))
    expect(label?.data[0]).toBe('cat')
    expect(box?.data).toHaveLength((label?.shape[0] ?? 0) * 4)
  })

  it('the two sentences of a recording', async () => {
    const { segment, probability } = await answered('silero-vad', 'audio', example('speech.ogg'))
    expect(segment?.shape).toEqual([2, 2])
    expect(probability?.shape).toEqual([202])
  })

  it('an empty result for an empty picture', async () => {
    const blank = pngOf({ width: 64, height: 48, fill: 200 })
    const { text, box } = await answered('pp-ocr', 'image', blank)
    expect([text?.shape, text?.data, box?.shape]).toEqual([[0], [], [0, 4, 2]])
  })
})

describe('a file that cannot be used', () => {
  it('[MS1] is refused by the node, by its element', async () => {
    const half = example('nameplate.png').subarray(0, 5_000)
    const detail = expect.stringContaining('cut off') as unknown
    expect(await infer('pp-ocr', 'image', half)).toMatchObject({
      status: 400,
      body: { code: 'invalid_request', errors: [{ pointer: '/inputs/0/data/0', detail }] },
    })
  })

  it('[MS2] is refused by the Worker when it is larger than the model takes', async () => {
    const detail = `is longer than ${MEDIA_BYTES} bytes`
    const large = new Uint8Array(MEDIA_BYTES + 1)
    expect(await infer('nanodet-g', 'image', large)).toMatchObject({
      status: 400,
      body: { errors: [{ pointer: '/inputs/0/data/0', detail }] },
    })
  })
})
