/** Pictures and sound through the whole system, as JSON over the Open Inference Protocol: what is in them, and what is refused. */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LIMITS } from '#shared/base/limits.ts'
import { repositoryPath } from '#scripts/base/paths.ts'
import type { Tenant } from '#scripts/stack/stack.ts'
import { MEDIA_MODELS } from '#test/suites/media.ts'
import { pngOf } from '#test/support/engine/media-files.ts'
import { createTestStack, openPolicy, type TestStack } from '#test/support/stack/stack.ts'

let stack: TestStack
let tenant: Tenant
beforeAll(async () => {
  stack = await createTestStack()
  tenant = await stack.createTenant('acme', ['infer', 'policy'])
  await stack.pin(tenant, openPolicy('DE'))
  await stack.startNode({
    name: 'de',
    region: 'DE',
    device: 'cpu',
    verified: true,
    options: ['--models', MEDIA_MODELS.join(',')],
  })
})
afterAll(() => stack?.close())

const example = (name: string) => new Uint8Array(readFileSync(repositoryPath(`examples/${name}`)))

function infer(model: string, name: string, file: Uint8Array) {
  const data = [Buffer.from(file).toString('base64')]
  const tensor = { name, datatype: 'BYTES', shape: [1], data }
  return stack.post(tenant, `/v2/models/${model}/infer`, { inputs: [tensor] })
}

/** Outputs of an answer by name. */
async function answered(model: string, name: string, file: Uint8Array) {
  const { status, body } = await infer(model, name, file)
  expect(body).toMatchObject({ model_name: model })
  expect(status).toBe(200)
  const outputs = body.outputs as { name: string; shape: number[]; data: unknown[] }[]
  return Object.fromEntries(outputs.map((output) => [output.name, output]))
}

describe('a file goes in as base64 and what is in it comes out as JSON', () => {
  it('a nameplate', async () => {
    const { text, confidence, box } = await answered('pp-ocr', 'image', example('nameplate.png'))
    expect(text?.data).toContain('Flow 12.5 m3/h')
    expect(confidence?.shape).toEqual([4])
    expect(box?.shape).toEqual([4, 4, 2])
  })

  it('a cat', async () => {
    const { label, box } = await answered('nanodet-g', 'image', example('cat.jpg'))
    expect(label?.data[0]).toBe('cat')
    expect(box?.data).toHaveLength((label?.shape[0] ?? 0) * 4)
  })

  it('two sentences', async () => {
    const { segment, probability } = await answered('silero-vad', 'audio', example('speech.ogg'))
    expect(segment?.shape).toEqual([2, 2])
    expect(probability?.shape).toEqual([202])
  })

  it('a picture with nothing in it: an answer with nothing in it', async () => {
    const blank = pngOf({ width: 64, height: 48, fill: 200 })
    const { text, box } = await answered('pp-ocr', 'image', blank)
    expect([text?.shape, text?.data, box?.shape]).toEqual([[0], [], [0, 4, 2]])
  })
})

describe('a file that cannot be used', () => {
  it('[M1] is refused by the node, by its element', async () => {
    const { status, body } = await infer(
      'pp-ocr',
      'image',
      example('nameplate.png').subarray(0, 5_000),
    )
    expect(status).toBe(400)
    expect(body).toMatchObject({
      code: 'invalid_request',
      errors: [
        { pointer: '/inputs/0/data/0', detail: expect.stringContaining('cut off') as unknown },
      ],
    })
  })

  it('[M2] is refused at the door when it is larger than the model takes', async () => {
    const { status, body } = await infer(
      'nanodet-g',
      'image',
      new Uint8Array(LIMITS.mediaBytes + 1),
    )
    expect(status).toBe(400)
    expect(body).toMatchObject({
      errors: [
        { pointer: '/inputs/0/data/0', detail: `is longer than ${LIMITS.mediaBytes} bytes` },
      ],
    })
  })
})
