/** Reads a TensorFlow.js graph model: `model.json` and its weights, and folds the arithmetic on shapes that stands in it. */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { invariant } from '#shared/base/errors.ts'

const Attribute = z.looseObject({
  f: z.number().optional(),
  s: z.string().optional(),
  b: z.boolean().optional(),
  list: z.looseObject({ i: z.array(z.string()).optional() }).optional(),
  shape: z.looseObject({ dim: z.array(z.looseObject({ size: z.string() })) }).optional(),
})

const Node = z.looseObject({
  name: z.string(),
  op: z.string(),
  input: z.array(z.string()).default([]),
  attr: z.record(z.string(), Attribute).default({}),
})
export type TfNode = z.infer<typeof Node>

const Weight = z.looseObject({
  name: z.string(),
  shape: z.array(z.int()),
  dtype: z.enum(['float32', 'int32']),
  quantization: z.looseObject({ dtype: z.literal('float16') }).optional(),
})

const GraphModel = z.looseObject({
  format: z.literal('graph-model'),
  signature: z.looseObject({ outputs: z.record(z.string(), z.looseObject({ name: z.string() })) }),
  modelTopology: z.looseObject({ node: z.array(Node) }),
  weightsManifest: z.array(z.looseObject({ paths: z.array(z.string()), weights: z.array(Weight) })),
})

/** A constant; its bytes are float16, or int32 for what was int64 too. */
export interface TfConstant {
  readonly dims: readonly number[]
  readonly type: 'float16' | 'int32'
  readonly bytes: Uint8Array
}

export interface TfGraph {
  readonly outputs: readonly string[]
  node(name: string): TfNode
  /** @throws when the name is none of a weight's */
  constant(name: string): TfConstant
  isConstant(name: string): boolean
  /** Integers of a constant, or of a sum or scatter of constants. */
  integers(name: string): number[]
}

export function readTfGraph(modelJson: string): TfGraph {
  const model = GraphModel.parse(JSON.parse(readFileSync(modelJson, 'utf8')))
  const nodes = new Map(model.modelTopology.node.map((node) => [node.name, node]))
  const constants = readWeights(model, dirname(modelJson))
  const node = (name: string) => {
    const found = nodes.get(name)
    invariant(found !== undefined, `the graph has a node ${name}`)
    return found
  }
  const constant = (name: string) => {
    const found = constants.get(name)
    invariant(found !== undefined, `the weights have ${name}`)
    return found
  }
  const integers = (name: string): number[] => {
    const { op, input } = node(name)
    const [a = '', b = '', c = '', d = ''] = input
    if (op === 'AddV2') {
      const [left, right] = [integers(a), integers(b)]
      return left.map((value, i) => value + (right[i] ?? 0))
    }
    if (op === 'SparseToDense') {
      const [size = 0] = integers(b)
      const dense = Array.from({ length: size }, () => integers(d)[0] ?? 0)
      integers(a).forEach((at, i) => (dense[at] = integers(c)[i] ?? 0))
      return dense
    }
    const { type, bytes } = constant(name)
    invariant(type === 'int32', `${name} holds integers`)
    return [...new Int32Array(bytes.slice().buffer)]
  }
  return {
    outputs: Object.values(model.signature.outputs)
      .map(({ name }) => name.replace(/:0$/, ''))
      .sort((a, b) => a.localeCompare(b, 'en', { numeric: true })),
    node,
    constant,
    isConstant: (name) => constants.has(name),
    integers,
  }
}

function readWeights(model: z.infer<typeof GraphModel>, dir: string): Map<string, TfConstant> {
  const constants = new Map<string, TfConstant>()
  for (const { paths, weights } of model.weightsManifest) {
    const bytes = new Uint8Array(Buffer.concat(paths.map((path) => readFileSync(join(dir, path)))))
    let offset = 0
    for (const { name, shape, dtype, quantization } of weights) {
      const type = dtype === 'int32' ? 'int32' : 'float16'
      invariant(dtype === 'int32' || quantization !== undefined, `${name} is float16 or int32`)
      const sizeBytes = shape.reduce((n, size) => n * size, 1) * (type === 'int32' ? 4 : 2)
      constants.set(name, { dims: shape, type, bytes: bytes.slice(offset, offset + sizeBytes) })
      offset += sizeBytes
    }
    invariant(offset === bytes.length, 'the weights fill their files')
  }
  return constants
}
