/** External files of a graph are found before ONNX Runtime sees it, wherever the graph names them. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { listExternalData } from '#engine/runtime/onnx-external.ts'
import { createRandom } from '#engine/models/text/sample.ts'
import { writeOnnx } from '#test/support/engine/onnx-writer.ts'
import { repositoryPath } from '#scripts/base/paths.ts'

const weights = { name: 'w', type: 'float', dims: [1024], bytes: new Uint8Array(4096) } as const
const graph = { inputs: [], outputs: [], nodes: [], tensors: [weights] }

test('only weights outside the graph name a file', () => {
  expect(
    listExternalData(readFileSync(repositoryPath('models/littoral-chat-2m/onnx/model.onnx'))),
  ).toEqual([])
  expect(listExternalData(writeOnnx(graph).model)).toEqual([])
  expect(listExternalData(writeOnnx(graph, '../../etc/passwd').model)).toEqual(['../../etc/passwd'])
})

/** A length-delimited protobuf field. */
function field(number: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const body = Buffer.concat(parts)
  const size: number[] = []
  for (let rest = body.length; ; rest >>>= 7) {
    size.push(rest > 127 ? (rest & 127) | 128 : rest)
    if (rest <= 127) break
  }
  const tag = number * 8 + 2
  return Buffer.concat([
    Uint8Array.from(tag > 127 ? [(tag & 127) | 128, tag >> 7] : [tag]),
    Uint8Array.from(size),
    body,
  ])
}

const text = (number: number, value: string) => field(number, Buffer.from(value))
const location = field(13, text(1, 'location'), text(2, 'hidden.bin'))

test.each([
  ['an initializer', field(7, field(5, location))],
  ['a sparse initializer', field(7, field(15, field(2, location)))],
  ["a node's tensor", field(7, field(1, field(5, field(5, location))))],
  ["a node's list of tensors", field(7, field(1, field(5, field(10, location))))],
  ['the body of a loop', field(7, field(1, field(5, field(6, field(5, location)))))],
  ['one of several bodies', field(7, field(1, field(5, field(11, field(5, location)))))],
  ["a node's sparse tensor", field(7, field(1, field(5, field(22, field(1, location)))))],
  ['a function', field(25, field(7, field(5, field(5, location))))],
  ['training information', field(20, field(2, field(5, location)))],
])('a location is found in %s', (_, model) => {
  expect(listExternalData(model)).toEqual(['hidden.bin'])
})

test('bytes that are not a protobuf are refused, and none hangs or crashes the reader', () => {
  const random = createRandom(3)
  const { model } = writeOnnx(graph, 'a.bin')
  for (let round = 0; round < 3_000; round++) {
    const bytes = model.slice(0, Math.floor(random() * model.length))
    for (let i = 0; i < 4; i++)
      bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256)
    try {
      listExternalData(bytes)
    } catch (error) {
      expect(error).toMatchObject({ code: 'invalid_request' })
    }
  }
  expect(() => listExternalData(Uint8Array.of(0x3a, 0xff))).toThrow(/ends inside/)
  expect(() => listExternalData(Buffer.from('<html>no model</html>'))).toThrow(/not an ONNX graph/)
})
