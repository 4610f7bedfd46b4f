/** Valid bodies for each route, which the fuzz mutates. */

const WGSL =
  '@group(0) @binding(0) var<storage, read_write> a: array<u32>;\n' +
  '@compute @workgroup_size(1) fn main() { a[0] = 1u; }'
const KERNEL = { wgsl: WGSL, entryPoint: 'main', workgroups: [1, 1, 1] }
const BUFFER = { binding: 0, access: 'read_write', sizeBytes: 16, return: true }
const TEXT = { name: 'text', datatype: 'BYTES', shape: [2], data: ['a', 'b'] }
const PIXELS = {
  name: 'image',
  datatype: 'UINT8',
  shape: [2, 2, 3],
  data: Array.from({ length: 12 }, (_, i) => i),
}
const INFER = [
  { id: 'fuzz', inputs: [TEXT] },
  { inputs: [TEXT], outputs: [{ name: 'embedding', parameters: { binary_data: true } }] },
  { inputs: [PIXELS], parameters: { binary_data_output: false } },
]
const TEXT_OPTIONS = { max_tokens: 2, temperature: 0, seed: 1 }
const CHAT = { model: 'littoral-chat-2m', messages: [{ role: 'user', content: 'hi' }] }

export const EXAMPLES: Readonly<Record<string, readonly unknown[]>> = {
  '/v1/embeddings': [
    { model: 'littoral-embed-400k', input: ['a', 'b'] },
    { model: 'littoral-embed-400k', input: 'a', encoding_format: 'base64', dimensions: 128 },
  ],
  '/v1/chat/completions': [
    { ...CHAT, ...TEXT_OPTIONS },
    { ...CHAT, ...TEXT_OPTIONS, stream: true, stream_options: { include_usage: true } },
  ],
  '/v1/completions': [{ model: 'littoral-chat-2m', prompt: 'a', ...TEXT_OPTIONS }],
  '/v2/models/{model}/infer': INFER,
  '/v2/models/{model}/versions/{version}/infer': INFER,
  '/v1/compute': [
    { kernel: KERNEL, buffers: [BUFFER] },
    {
      kernel: 'softmax@1',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 4], data: [1, 2, 3, 4] }],
    },
  ],
  '/v1/jobs': [
    { model: 'littoral-embed-400k', inputs: [{ inputs: [TEXT] }, { inputs: [TEXT] }] },
    { kernel: KERNEL, buffers: [BUFFER], inputs: [{}] },
  ],
  '/v1/policies/{id}': [{ compute: { allow: ['EU', 'CH'] }, dataClass: 'public' }],
  '/v1/operator/keys': [{ tenant: 'other', scopes: ['infer'] }],
  '/v1/operator/quotas/{tenant}': [{ requestsPerMinute: 1_000, spendMicroUsdPerDay: null }],
}
