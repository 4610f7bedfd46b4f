/** A Llama 3.2 with random weights, small, in the hub's transformers layout: the code path of a model that is too large to keep here. */
import { readFileSync } from 'node:fs'
import { createRandom } from '#engine/models/text/sample.ts'
import {
  writeOnnx,
  type OnnxNode,
  type OnnxTensor,
  type OnnxType,
  type OnnxValue,
} from './onnx-writer.ts'
import { repositoryPath } from '#scripts/base/paths.ts'

/** Precisions by their names on Hugging Face; `q4f16` keeps its weights in a file beside the graph. */
export type Precision = 'f32' | 'f16' | 'q4f16'

const CONFIG = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: 128,
  intermediate_size: 256,
  num_attention_heads: 8,
  num_key_value_heads: 2,
  num_hidden_layers: 2,
  head_dim: 16,
  vocab_size: 768,
  max_position_embeddings: 512,
  rms_norm_eps: 1e-5,
  rope_theta: 500_000,
  rope_scaling: {
    rope_type: 'llama3',
    factor: 32,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 8192,
  },
  bos_token_id: 1,
  eos_token_id: [3, 0],
  tie_word_embeddings: true,
  hidden_act: 'silu',
}
const { hidden_size: HIDDEN, head_dim: HEAD, vocab_size: VOCAB } = CONFIG
const HEADS = CONFIG.num_attention_heads
const KV_HEADS = CONFIG.num_key_value_heads
const POSITIONS = CONFIG.max_position_embeddings
const BLOCK = 32
/** Llama 3's turns, with the special tokens that the small tokenizer has. */
const TEMPLATE = `{{- bos_token }}
{%- if messages[0]['role'] == 'system' %}{%- set system_message = messages[0]['content'] | trim %}{%- set messages = messages[1:] %}
{%- else %}{%- set system_message = '' %}{%- endif %}
{{- system_message }}
{%- for message in messages %}
{%- if message.role not in ['user', 'assistant'] %}{{- raise_exception('Unknown role ' + message.role) }}{%- endif %}
{{- '<|' + message['role'] + '|>' + message['content'] | trim }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|assistant|>' }}{%- endif %}`

/** Files by the names of a manifest. */
export function makeRandomLlama(precision: Precision, seed: number): Map<string, Uint8Array> {
  const graph = buildGraph(precision, createRandom(seed))
  const name =
    precision === 'f32'
      ? 'model.onnx'
      : precision === 'f16'
        ? 'model_fp16.onnx'
        : 'model_q4f16.onnx'
  const isSplit = precision === 'q4f16'
  const { model, external } = writeOnnx(graph, isSplit ? `${name}_data` : undefined)
  const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))
  return new Map([
    [name, model],
    ...(isSplit ? ([[`${name}_data`, external]] as const) : []),
    ['config.json', json(CONFIG)],
    ['generation_config.json', json({ bos_token_id: 1, eos_token_id: [3, 0], do_sample: true })],
    ['tokenizer.json', readFileSync(repositoryPath('models/littoral-chat-2m/tokenizer.json'))],
    [
      'tokenizer_config.json',
      json({
        tokenizer_class: 'PreTrainedTokenizerFast',
        bos_token: { content: '<|user|>', special: true },
        eos_token: '<|end|>',
        chat_template: TEMPLATE,
      }),
    ],
  ])
}

/** Collects nodes and weights of one graph. */
interface Builder {
  readonly float: OnnxType
  readonly nodes: OnnxNode[]
  readonly tensors: OnnxTensor[]
  node(
    op: string,
    inputs: readonly string[],
    outputs: readonly string[],
    rest?: Partial<OnnxNode>,
  ): void
  weight(name: string, dims: readonly number[], values: Float32Array): string
  /** `input · W`, quantized where the precision says so; gives the output's name. */
  linear(input: string, name: string, size: readonly [from: number, to: number]): string
}

function buildGraph(precision: Precision, random: () => number) {
  const b = createBuilder(precision, random)
  const noise = (length: number, scale: number) => randomFloats(random, length, scale)
  b.weight('embed', [VOCAB, HIDDEN], noise(VOCAB * HIDDEN, 1))
  const { cos, sin } = rotaryCaches()
  b.weight('cos_cache', [POSITIONS, HEAD / 2], cos)
  b.weight('sin_cache', [POSITIONS, HEAD / 2], sin)
  addLengths(b)
  b.node('Gather', ['embed', 'input_ids'], ['x.0'])
  b.weight('norm.0.w', [HIDDEN], new Float32Array(HIDDEN).fill(1))
  b.node('SimplifiedLayerNormalization', ['x.0', 'norm.0.w'], ['h.0'], {
    attributes: { axis: -1, epsilon: { float: CONFIG.rms_norm_eps } },
  })
  const layers = Array.from({ length: CONFIG.num_hidden_layers }, (_, layer) => layer)
  for (const layer of layers) addLayer(b, layer)
  const logits = b.linear(`h.${2 * layers.length}`, 'lm_head', [HIDDEN, VOCAB])
  // Exporters differ in whether quantized models give float32 logits; this one does, and the f16 one does not.
  const logitsType = precision === 'f16' ? 'float16' : 'float'
  b.node(precision === 'q4f16' ? 'Cast' : 'Identity', [logits], ['logits'], {
    attributes: precision === 'q4f16' ? { to: 1 } : {},
  })
  const caches = (prefix: string, length: string): OnnxValue[] =>
    layers.flatMap((layer) =>
      ['key', 'value'].map((part) => ({
        name: `${prefix}.${layer}.${part}`,
        type: b.float,
        dims: ['batch_size', KV_HEADS, length, HEAD],
      })),
    )
  const ids = ['batch_size', 'sequence_length']
  const total = ['batch_size', 'total_sequence_length']
  return {
    nodes: b.nodes,
    tensors: b.tensors,
    inputs: [
      { name: 'input_ids', type: 'int64', dims: ids },
      { name: 'attention_mask', type: 'int64', dims: total },
      { name: 'position_ids', type: 'int64', dims: ids },
      ...caches('past_key_values', 'past_sequence_length'),
    ] satisfies OnnxValue[],
    outputs: [
      { name: 'logits', type: logitsType, dims: [...ids, VOCAB] },
      ...caches('present', 'total_sequence_length'),
    ] satisfies OnnxValue[],
  }
}

/** Lengths that attention wants, from the mask. */
function addLengths(b: Builder): void {
  const number = (name: string, dims: readonly number[]) =>
    b.tensors.push({
      name,
      type: 'int64',
      dims,
      bytes: new Uint8Array(BigInt64Array.of(1n).buffer),
    })
  number('one', [1])
  number('axis', [1])
  number('index', [])
  b.node('ReduceSum', ['attention_mask', 'axis'], ['mask_sum'], { attributes: { keepdims: 0 } })
  b.node('Sub', ['mask_sum', 'one'], ['last64'])
  b.node('Cast', ['last64'], ['seqlens_k'], { attributes: { to: 6 } })
  b.node('Shape', ['attention_mask'], ['mask_shape'])
  b.node('Gather', ['mask_shape', 'index'], ['total64'], { attributes: { axis: 0 } })
  b.node('Cast', ['total64'], ['total_length'], { attributes: { to: 6 } })
}

function addLayer(b: Builder, layer: number): void {
  const name = (part: string) => `layer.${layer}.${part}`
  const [x, h] = [`x.${2 * layer}`, `h.${2 * layer}`]
  const project = (part: string, heads: number) => b.linear(h, name(part), [HIDDEN, heads * HEAD])
  const rotate = (input: string, heads: number) => {
    b.node(
      'RotaryEmbedding',
      [input, 'position_ids', 'cos_cache', 'sin_cache'],
      [`${input}.rotated`],
      {
        domain: 'com.microsoft',
        attributes: { interleaved: 0, num_heads: heads, rotary_embedding_dim: 0 },
      },
    )
    return `${input}.rotated`
  }
  const query = rotate(project('q', HEADS), HEADS)
  const key = rotate(project('k', KV_HEADS), KV_HEADS)
  const [pastKey, pastValue] = ['key', 'value'].map((part) => `past_key_values.${layer}.${part}`)
  b.node(
    'GroupQueryAttention',
    [
      query,
      key,
      project('v', KV_HEADS),
      pastKey ?? '',
      pastValue ?? '',
      'seqlens_k',
      'total_length',
    ],
    [name('attention'), `present.${layer}.key`, `present.${layer}.value`],
    { domain: 'com.microsoft', attributes: { num_heads: HEADS, kv_num_heads: KV_HEADS } },
  )
  const attended = b.linear(name('attention'), name('o'), [HEADS * HEAD, HIDDEN])
  addNorm(b, 2 * layer + 1, [x, attended])
  const middle = `h.${2 * layer + 1}`
  const wide = [HIDDEN, CONFIG.intermediate_size] as const
  const gate = b.linear(middle, name('gate'), wide)
  b.node('Sigmoid', [gate], [name('sigmoid')])
  b.node('Mul', [gate, name('sigmoid')], [name('silu')])
  b.node('Mul', [name('silu'), b.linear(middle, name('up'), wide)], [name('gated')])
  const out = b.linear(name('gated'), name('down'), [CONFIG.intermediate_size, HIDDEN])
  addNorm(b, 2 * layer + 2, [`x.${2 * layer + 1}`, out])
}

/** `x.n` = sum, `h.n` = its norm. */
function addNorm(b: Builder, n: number, [x, added]: readonly [string, string]): void {
  b.weight(`norm.${n}.w`, [HIDDEN], new Float32Array(HIDDEN).fill(1))
  b.node(
    'SkipSimplifiedLayerNormalization',
    [x, added, `norm.${n}.w`],
    [`h.${n}`, '', '', `x.${n}`],
    { domain: 'com.microsoft', attributes: { epsilon: { float: CONFIG.rms_norm_eps } } },
  )
}

function createBuilder(precision: Precision, random: () => number): Builder {
  const float: OnnxType = precision === 'f32' ? 'float' : 'float16'
  const nodes: OnnxNode[] = []
  const tensors: OnnxTensor[] = []
  const b: Builder = {
    float,
    nodes,
    tensors,
    node: (op, inputs, outputs, rest = {}) => void nodes.push({ op, inputs, outputs, ...rest }),
    weight(name, dims, values) {
      const array = float === 'float' ? values : new Float16Array(values)
      tensors.push({ name, type: float, dims, bytes: new Uint8Array(array.buffer) })
      return name
    },
    linear(input, name, [from, to]) {
      const scale = 1 / Math.sqrt(from)
      if (precision !== 'q4f16') {
        b.weight(`${name}.w`, [from, to], randomFloats(random, from * to, scale))
        b.node('MatMul', [input, `${name}.w`], [name])
        return name
      }
      const packed = Uint8Array.from({ length: (from * to) / 2 }, () => Math.floor(random() * 256))
      const dims = [to, from / BLOCK, BLOCK / 2]
      tensors.push({ name: `${name}.q`, type: 'uint8', dims, bytes: packed })
      const blocks = (from * to) / BLOCK
      b.weight(`${name}.scales`, [blocks], new Float32Array(blocks).fill(scale / 4))
      b.node('MatMulNBits', [input, `${name}.q`, `${name}.scales`], [name], {
        domain: 'com.microsoft',
        attributes: { K: from, N: to, bits: 4, block_size: BLOCK },
      })
      return name
    },
  }
  return b
}

/** Llama 3's frequencies: slow ones are slowed further, those between are blended. */
function rotaryCaches() {
  const scaling = CONFIG.rope_scaling
  const cos = new Float32Array((POSITIONS * HEAD) / 2)
  const sin = new Float32Array((POSITIONS * HEAD) / 2)
  for (let i = 0; i < HEAD / 2; i++) {
    const base = CONFIG.rope_theta ** ((-2 * i) / HEAD)
    const turns = (scaling.original_max_position_embeddings * base) / (2 * Math.PI)
    const share =
      (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor)
    const kept = Math.min(1, Math.max(0, share))
    const frequency = base * (kept + (1 - kept) / scaling.factor)
    for (let position = 0; position < POSITIONS; position++) {
      cos[(position * HEAD) / 2 + i] = Math.cos(position * frequency)
      sin[(position * HEAD) / 2 + i] = Math.sin(position * frequency)
    }
  }
  return { cos, sin }
}

/** Uniform with the deviation `scale`. */
function randomFloats(random: () => number, length: number, scale: number): Float32Array {
  return Float32Array.from({ length }, () => (random() * 2 - 1) * Math.sqrt(3) * scale)
}
