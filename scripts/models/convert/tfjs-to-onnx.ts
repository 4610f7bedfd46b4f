/**
 * Turns a TensorFlow.js graph into an ONNX one. TensorFlow keeps channels last, ONNX first: every tensor is kept with
 * its channels first and remembers how TensorFlow sees it, so that the transposes between the two cost no node.
 */
import { invariant } from '#shared/base/errors.ts'
import { ONNX_TYPE, type OnnxGraph, type OnnxNode, type OnnxTensor } from './onnx-file.ts'
import type { TfConstant, TfGraph, TfNode } from './tfjs-graph.ts'

/** A tensor of the ONNX graph as TensorFlow sees it. */
interface Value {
  readonly name: string
  /** How TensorFlow's axes lie: `last` is [N, H, W, C] to it, and [N, C, H, W] in the ONNX graph. */
  readonly channels: 'first' | 'last'
  /** Top, left, bottom, right padding that the next convolution or pool takes over. */
  readonly pads?: readonly number[]
  /** The convolution that made this value and has no bias yet. */
  readonly convolution?: OnnxNode
}

const TO_LAST = '0,2,3,1'
const TO_FIRST = '0,3,1,2'

export interface Converted {
  readonly graph: Pick<OnnxGraph, 'nodes' | 'weights'>
  /** Names of the outputs, in the order of the TensorFlow.js signature. */
  readonly outputs: readonly string[]
}

export function convertGraph(tf: TfGraph, input: string): Converted {
  const nodes: OnnxNode[] = []
  const weights: OnnxTensor[] = []
  const done = new Map<string, readonly Value[]>()
  const converter: Converter = {
    tf,
    input,
    emit(op, inputs, { outputs, attributes = {} }) {
      const node: OnnxNode = { op, inputs, outputs, attributes }
      nodes.push(node)
      return node
    },
    /** float16 in the file, float32 in the graph. */
    weight(name, constant, change = (same) => same) {
      const { dims, bytes } = change(constant)
      weights.push({ name: `${name}/half`, type: ONNX_TYPE.float16, dims, bytes })
      const attributes = { to: ONNX_TYPE.float }
      nodes.push({ op: 'Cast', inputs: [`${name}/half`], outputs: [name], attributes })
      return name
    },
    integers(name, values) {
      const bytes = new Uint8Array(BigInt64Array.from(values, BigInt).buffer)
      weights.push({ name, type: ONNX_TYPE.int64, dims: [values.length], bytes })
      return name
    },
    value(reference) {
      const [name = '', index = '0'] = reference.split(':')
      const known = done.get(name) ?? convertNode(converter, tf.node(name))
      done.set(name, known)
      const value = known[Number(index)]
      invariant(value !== undefined, `${name} has an output ${index}`)
      return value
    },
    addBias(convolution, bias) {
      const index = nodes.indexOf(convolution)
      nodes.splice(index, 1, { ...convolution, inputs: [...convolution.inputs, bias] })
      // The bias's Cast came after the convolution that now reads it.
      const cast = nodes.pop()
      if (cast !== undefined) nodes.splice(index, 0, cast)
    },
  }
  const outputs = tf.outputs.map((name) => converter.value(name).name)
  return { graph: { nodes, weights }, outputs }
}

interface Converter {
  readonly tf: TfGraph
  readonly input: string
  emit(
    op: string,
    inputs: readonly string[],
    more: { readonly outputs: readonly string[]; readonly attributes?: OnnxNode['attributes'] },
  ): OnnxNode
  weight(
    name: string,
    constant: TfConstant,
    change?: (constant: TfConstant) => Pick<TfConstant, 'dims' | 'bytes'>,
  ): string
  integers(name: string, values: readonly number[]): string
  value(reference: string): Value
  addBias(convolution: OnnxNode, bias: string): void
}

type Convert = (on: Converter, node: TfNode) => readonly Value[]

const CONVERT: Readonly<Record<string, Convert>> = {
  Placeholder: (on) => [{ name: on.input, channels: 'first' }],
  Identity: (on, { input }) => [on.value(input[0] ?? '')],
  Transpose: convertTranspose,
  Pad: convertPad,
  PadV2: convertPad,
  Conv2D: convertConvolution,
  MaxPool: convertPool,
  Add: convertAdd,
  LeakyRelu: (on, node) =>
    unary(on, node, 'LeakyRelu', { alpha: { float: node.attr.alpha?.f ?? 0.2 } }),
  Sigmoid: (on, node) => unary(on, node, 'Sigmoid'),
  ConcatV2: convertConcat,
  SplitV: convertSplit,
  ResizeBilinear: convertResize,
  Reshape: convertReshape,
}

function convertNode(on: Converter, node: TfNode): readonly Value[] {
  const convert = CONVERT[node.op]
  if (convert === undefined) throw new Error(`${node.name}: no conversion for ${node.op}`)
  return convert(on, node)
}

function unary(
  on: Converter,
  { name, input }: TfNode,
  op: string,
  attributes: OnnxNode['attributes'] = {},
): readonly Value[] {
  const value = plain(on.value(input[0] ?? ''))
  on.emit(op, [value.name], { outputs: [name], attributes })
  return [{ name, channels: value.channels }]
}

function convertTranspose(on: Converter, { name, input }: TfNode): readonly Value[] {
  const perm = on.tf.integers(input[1] ?? '')
  const value = on.value(input[0] ?? '')
  if (perm.join() === TO_LAST && value.channels === 'first') return [{ ...value, channels: 'last' }]
  if (perm.join() === TO_FIRST && value.channels === 'last')
    return [{ ...value, channels: 'first' }]
  invariant(perm.length !== 4, `${name}: a transpose that is not between layouts`)
  on.emit('Transpose', [plain(value).name], { outputs: [name], attributes: { perm } })
  return [{ name, channels: 'first' }]
}

/** Padding with zeroes, or with the least float before a pool, which is what ONNX's own padding of a pool does. */
function convertPad(on: Converter, { name, input }: TfNode): readonly Value[] {
  const value = plain(on.value(input[0] ?? ''))
  const [top, left] = value.channels === 'first' ? [2, 3] : [1, 2]
  const amounts = on.tf.integers(input[1] ?? '')
  const pads = [2 * top, 2 * left, 2 * top + 1, 2 * left + 1].map((at) => amounts[at] ?? 0)
  const sum = (list: readonly number[]) => list.reduce((total, amount) => total + amount, 0)
  invariant(sum(amounts) === sum(pads), `${name}: pads height and width only`)
  return [{ ...value, pads }]
}

function convertConvolution(on: Converter, node: TfNode): readonly Value[] {
  const { name, input, attr } = node
  const value = on.value(input[0] ?? '')
  invariant(value.channels === 'last' && isValid(node), `${name}: NHWC and VALID`)
  const kernel = on.tf.constant(input[1] ?? '')
  const weight = on.weight(`${name}/kernel`, kernel, toKernel)
  const [height = 1, width = 1] = kernel.dims
  const attributes = {
    kernel_shape: [height, width],
    strides: spatial(attr.strides?.list?.i),
    dilations: spatial(attr.dilations?.list?.i),
    pads: value.pads ?? [0, 0, 0, 0],
  }
  const convolution = on.emit('Conv', [value.name, weight], { outputs: [name], attributes })
  return [{ name, channels: 'last', convolution }]
}

function convertPool(on: Converter, node: TfNode): readonly Value[] {
  const { name, input, attr } = node
  const value = on.value(input[0] ?? '')
  invariant(value.channels === 'last' && isValid(node), `${name}: NHWC and VALID`)
  const attributes = {
    kernel_shape: spatial(attr.ksize?.list?.i),
    strides: spatial(attr.strides?.list?.i),
    pads: value.pads ?? [0, 0, 0, 0],
  }
  on.emit('MaxPool', [value.name], { outputs: [name], attributes })
  return [{ name, channels: 'last' }]
}

/** A constant on a convolution is its bias; anything else is an addition of equal shapes. */
function convertAdd(on: Converter, { name, input }: TfNode): readonly Value[] {
  const [left = '', right = ''] = input
  const value = on.value(left)
  if (on.tf.isConstant(right)) {
    invariant(value.convolution !== undefined, `${name}: a constant is added to a convolution`)
    on.addBias(value.convolution, on.weight(`${name}/bias`, on.tf.constant(right)))
    return [{ name: value.name, channels: value.channels }]
  }
  const other = plain(on.value(right))
  invariant(plain(value).channels === other.channels, `${name}: both sides lie alike`)
  on.emit('Add', [value.name, other.name], { outputs: [name] })
  return [{ name, channels: value.channels }]
}

function convertConcat(on: Converter, { name, input }: TfNode): readonly Value[] {
  const values = input.slice(0, -1).map((reference) => plain(on.value(reference)))
  const channels = values[0]?.channels ?? 'first'
  invariant(
    values.every((value) => value.channels === channels),
    `${name}: all parts lie alike`,
  )
  const [tfAxis = 0] = on.tf.integers(input.at(-1) ?? '')
  const attributes = { axis: onnxAxis(tfAxis, channels) }
  on.emit(
    'Concat',
    values.map((value) => value.name),
    { outputs: [name], attributes },
  )
  return [{ name, channels }]
}

function convertSplit(on: Converter, { name, input }: TfNode): readonly Value[] {
  const [reference = '', sizes = '', axis = ''] = input
  const { name: from, channels } = plain(on.value(reference))
  const parts = on.tf.integers(sizes)
  const outputs = parts.map((_, i) => `${name}:${i}`)
  const [tfAxis = 0] = on.tf.integers(axis)
  on.emit('Split', [from, on.integers(`${name}/sizes`, parts)], {
    outputs,
    attributes: { axis: onnxAxis(tfAxis, channels) },
  })
  return outputs.map((output) => ({ name: output, channels }))
}

function convertResize(on: Converter, { name, input, attr }: TfNode): readonly Value[] {
  const value = plain(on.value(input[0] ?? ''))
  const isHalfPixel = attr.half_pixel_centers?.b === true && attr.align_corners?.b !== true
  invariant(value.channels === 'last' && isHalfPixel, `${name}: NHWC with half-pixel centres`)
  // All of these tensors double or halve; ONNX wants scales or the whole shape, and scales need no channel count.
  const scale = resizeScale(on, { name, input })
  const bytes = new Uint8Array(Uint16Array.of(0x3c00, 0x3c00, scale, scale).buffer)
  const scales = on.weight(`${name}/scales`, { dims: [4], type: 'float16', bytes })
  on.emit('Resize', [value.name, '', scales], {
    outputs: [name],
    attributes: { mode: 'linear', coordinate_transformation_mode: 'half_pixel' },
  })
  return [{ name, channels: 'last' }]
}

const HALF = 0x3800
const TWO = 0x4000

/** Whether a resize halves or doubles, told by the size that it goes to. */
function resizeScale(on: Converter, { name, input }: Pick<TfNode, 'name' | 'input'>): number {
  const [to = 0] = on.tf.integers(input[1] ?? '')
  const from = sizeBefore(on, input[0] ?? '')
  if (to === 2 * from) return TWO
  invariant(from === 2 * to, `${name}: from ${from} to ${to} is neither half nor twice`)
  return HALF
}

/** Height of a value, found by walking up to the picture through strides and resizes. */
function sizeBefore(on: Converter, reference: string): number {
  const node = on.tf.node(reference.split(':')[0] ?? '')
  const [first = ''] = node.input
  if (node.op === 'Placeholder') return Number(node.attr.shape?.shape?.dim[2]?.size ?? 0)
  if (node.op === 'ResizeBilinear') return on.tf.integers(node.input[1] ?? '')[0] ?? 0
  const [stride = 1] = spatial(node.attr.strides?.list?.i)
  return sizeBefore(on, first) / stride
}

function convertReshape(on: Converter, { name, input }: TfNode): readonly Value[] {
  const value = plain(on.value(input[0] ?? ''))
  invariant(value.channels === 'first', `${name}: channels lie first`)
  const shape = on.integers(`${name}/shape`, on.tf.integers(input[1] ?? ''))
  on.emit('Reshape', [value.name, shape], { outputs: [name] })
  return [{ name, channels: 'first' }]
}

/** [H, W, in, out] → [out, in, H, W], two bytes each. */
function toKernel({ dims, bytes }: TfConstant): Pick<TfConstant, 'dims' | 'bytes'> {
  const [height = 0, width = 0, from = 0, to = 0] = dims
  const source = new Uint16Array(bytes.slice().buffer)
  const target = new Uint16Array(source.length)
  let at = 0
  for (let o = 0; o < to; o++)
    for (let i = 0; i < from; i++)
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++)
          target[at++] = source[((y * width + x) * from + i) * to + o] ?? 0
  return { dims: [to, from, height, width], bytes: new Uint8Array(target.buffer) }
}

function plain(value: Value): Value {
  invariant(value.pads === undefined, `${value.name}: only a convolution or pool takes padding`)
  return value
}

function isValid({ attr }: TfNode): boolean {
  return atob(attr.padding?.s ?? '') === 'VALID' && atob(attr.data_format?.s ?? '') === 'NHWC'
}

function spatial(list: readonly string[] | undefined): number[] {
  return (list ?? ['1', '1', '1', '1']).slice(1, 3).map(Number)
}

function onnxAxis(axis: number, channels: Value['channels']): number {
  return channels === 'first' ? axis : ([0, 2, 3, 1][axis] ?? 0)
}
