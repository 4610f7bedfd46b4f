/** A local node's engine: models in one process, kernels in another, both on this machine's real devices. */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Engine } from '#engine/engine.ts'
import { createNodeEngine } from '#local-node/engine/engine-host.ts'
import { commandOf, descendantsOf } from '../../bench/memory/processes.ts'
import { errorCode } from '#shared/base/errors.ts'
import { silentLog } from '#shared/base/log.ts'
import { encodeBytes } from '#shared/job/tensor.ts'
import { describeEngine } from '../suites/engine.ts'
import { describeInterface } from '../suites/kernels.ts'
import { runJob } from '#test/support/engine/run-job.ts'
import { kernelJob, modelJob } from '#test/support/engine/engine-jobs.ts'
import { compileBomb, REFUSAL, SLOW } from '../support/wgsl/compile-bomb.ts'
import { until } from '../support/poll.ts'
import { MIB } from '#shared/base/limits.ts'

const openNode = (options: Partial<Parameters<typeof createNodeEngine>[0]> = {}) =>
  createNodeEngine({ device: 'auto', kernels: 'any', models: [], log: silentLog, ...options })

describeEngine('a local node', {
  open: () => createNodeEngine({ device: 'auto', kernels: 'any', log: silentLog }),
  providers: {
    'littoral-embed-400k': ['webgpu', 'cpu'],
    'pp-ocr-rec': ['webgpu', 'cpu'],
    'littoral-chat-2m': ['webgpu', 'cpu'],
    'pp-ocr': ['webgpu', 'cpu'],
    'nanodet-g': ['webgpu', 'cpu'],
    'silero-vad': ['cpu'],
  },
  kernels: 'any',
})

describeEngine('a local node that is told to use WebGPU and the listed kernels', {
  open: () => openNode({ device: 'webgpu', kernels: 'listed', models: ['littoral-embed-400k'] }),
  providers: { 'littoral-embed-400k': ['webgpu'] },
  kernels: 'listed',
})

describe('a local node that runs any kernel', () => {
  let engine: Engine
  beforeAll(async () => {
    engine = await openNode()
  })
  afterAll(() => engine.close())
  describeInterface(() => engine)

  const OUT = '@group(0) @binding(0) var<storage, read_write> out: array<u32>;'
  const ENDLESS = {
    wgsl: `${OUT}
@compute @workgroup_size(64) fn main() { loop { if (out[0] == 7u) { break; } out[0] = 2u; } }`,
    buffers: [{}],
  }
  const DOUBLE = `${OUT}
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < arrayLength(&out)) { out[id.x] = out[id.x] * 2u + 1u; }
}`
  const doubled = (on = engine) =>
    runJob(
      on,
      kernelJob({
        wgsl: DOUBLE,
        buffers: [{ sizeBytes: 8, filled: true }],
        payload: new Uint8Array(Uint32Array.of(20, 0x7fffffff).buffer),
      }),
    )
  const expectServing = async () => {
    const { bytes } = await doubled()
    expect([...new Uint32Array(bytes.slice().buffer)]).toEqual([41, 0xffffffff])
  }

  test('names its adapter, and marks a software one', () => {
    expect(engine.adapter.name).not.toBe('')
    if (/swiftshader|llvmpipe/i.test(engine.adapter.name))
      expect(engine.adapter.isSoftware).toBe(true)
  })

  test('[G5] returns integers bit for bit', expectServing)

  test('[G7] WGSL that does not compile is refused with its line', async () => {
    const wgsl = `${OUT}\n@compute @workgroup_size(1) fn main() {\n  out[0] = nonsense;\n}`
    await expect(runJob(engine, kernelJob({ wgsl, buffers: [{}] }))).rejects.toMatchObject({
      code: 'invalid_request',
      detail: expect.stringMatching(/line 3:\d+: .*nonsense/),
    })
    await expectServing()
  })

  test.each([
    ['an entry point that is not there', DOUBLE.replace('fn main', 'fn other'), [{}]],
    ['a binding that no buffer has', DOUBLE.replace('binding(0)', 'binding(3)'), [{}]],
    ['writes to a buffer given for reading', DOUBLE, [{ access: 'read' as const }]],
    ['a workgroup over the limit', DOUBLE.replace('size(64)', 'size(100000)'), [{}]],
    ['a feature that the device does not grant', `enable f16;\n${DOUBLE}`, [{}]],
    ['two buffers in one place', DOUBLE, [{ binding: 0 }, { binding: 0 }]],
  ])('[G7] a kernel with %s is refused', async (_, wgsl, buffers) => {
    await expect(runJob(engine, kernelJob({ wgsl, buffers }))).rejects.toMatchObject({
      code: 'invalid_request',
    })
    await expectServing()
  })

  const statements = 'out[0] += 1u;'.repeat(2_001)
  test.each([
    ['source', `${DOUBLE}\n//${'x'.repeat(300_000)}`, [{}]],
    ['statements', `${OUT}@compute @workgroup_size(1) fn main() { ${statements} }`, [{}]],
    [
      'statements behind a comment that a carriage return ends',
      `${OUT}//\r@compute @workgroup_size(1) fn main() { ${statements} }`,
      [{}],
    ],
    ['bytes in one buffer', DOUBLE, [{ sizeBytes: 33 * MIB }]],
    [
      'bytes in all buffers',
      DOUBLE,
      Array.from({ length: 3 }, () => ({ sizeBytes: 30 * MIB, return: false })),
    ],
    ['bytes to return', DOUBLE, [{ sizeBytes: 20 * MIB }, { sizeBytes: 20 * MIB }]],
    ['buffers', DOUBLE, Array.from({ length: 9 }, () => ({}))],
  ])('[G8] a kernel with too many %s is refused before it is parsed', async (_, wgsl, buffers) => {
    await expect(runJob(engine, kernelJob({ wgsl, buffers }))).rejects.toMatchObject({
      code: 'too_large',
    })
    await expectServing()
  })

  test('[G8] a dispatch over the limit is refused before its kernel is parsed', async () => {
    const job = kernelJob({ wgsl: DOUBLE, buffers: [{}], workgroups: [65_535, 65_535, 1] })
    await expect(runJob(engine, job)).rejects.toMatchObject({ code: 'too_large' })
  })

  test('[U3] a kernel that would hang the compiler is refused, and costs no other job', async () => {
    const bombs = [compileBomb(28), compileBomb(40)]
    const refused = bombs.map((bomb) => expect(runJob(engine, bomb)).rejects.toMatchObject(REFUSAL))
    expect((await Promise.all([doubled(), doubled()])).length).toBe(2)
    await Promise.all(refused)
  })

  test('[U9] losing a kernel process ends no other job, even after its caller has left', async () => {
    const slow = compileBomb(SLOW)
    const leaving = new AbortController()
    const codeOf = (error: unknown) => errorCode(error)
    for (const signal of [leaving.signal, undefined]) {
      const before = new Set(engineProcesses())
      const ended = runJob(engine, slow, signal).catch(codeOf)
      const plain = [doubled(), doubled()]
      // By then the process has the first kernel, and the others wait.
      await new Promise(setImmediate)
      if (signal !== undefined) leaving.abort()
      for (const pid of before) process.kill(pid, 'SIGKILL')
      expect(await ended).toBe(signal === undefined ? 'node_lost' : 'cancelled')
      expect((await Promise.all(plain)).length).toBe(2)
      await expectServing()
    }
  })

  test('[G19] the end of a kernel process ends no other job, and kernels stay on offer', async () => {
    const before = new Set(engineProcesses())
    const offered: unknown[] = []
    const own = await openNode({ onChange: () => offered.push(own.kernels) })
    try {
      const first = runJob(own, kernelJob(ENDLESS)).catch(errorCode)
      const others = Promise.all([1, 2, 3].map(() => doubled(own)))
      for (const pid of engineProcesses()) if (!before.has(pid)) process.kill(pid, 'SIGKILL')
      expect(await first).toBe('node_lost')
      expect((await others).length).toBe(3)
      // The models' process was replaced too.
      expect(new Set(offered)).toEqual(new Set(['any']))
    } finally {
      await own.close()
    }
  })

  test("[G9] a job finds zeroes, never an earlier job's bytes", async () => {
    const secret = kernelJob({
      wgsl: DOUBLE,
      buffers: [{ sizeBytes: MIB, filled: true }],
      workgroups: [MIB / 256, 1, 1],
      payload: new Uint8Array(MIB).fill(0xaa),
    })
    expect((await runJob(engine, secret)).bytes[0]).toBe(0x55)
    const look = `${OUT}
var<workgroup> shared_words: array<u32, 256>;
@compute @workgroup_size(1) fn main() {
  for (var i = 0u; i < 256u; i++) { out[i] |= shared_words[i]; }
}`
    const { bytes } = await runJob(engine, kernelJob({ wgsl: look, buffers: [{ sizeBytes: MIB }] }))
    expect(bytes.length).toBe(MIB)
    expect(bytes.some((byte) => byte !== 0)).toBe(false)
  })

  test('[G10] a caller may leave a running kernel at once, and the engine keeps working', async () => {
    const controller = new AbortController()
    const running = runJob(engine, kernelJob(ENDLESS), controller.signal)
    setTimeout(() => controller.abort(), 20)
    await expect(running).rejects.toMatchObject({ code: 'cancelled' })
    await expectServing()
  })
})

describe('a local node whose process is killed during its start', () => {
  /** Starts an engine and kills its `nth` process as soon as it exists. */
  const openWithKill = async (seen: number, choose: (pids: readonly number[]) => number) => {
    const others = new Set(engineProcesses())
    const pids: number[] = []
    const watching = setInterval(() => {
      for (const pid of engineProcesses())
        if (!others.has(pid) && !pids.includes(pid)) {
          pids.push(pid)
          if (pids.length === seen) process.kill(choose(pids), 'SIGKILL')
        }
    }, 20)
    try {
      const engine = await openNode({ models: ['littoral-embed-400k'] })
      return { engine, processes: pids.length }
    } finally {
      clearInterval(watching)
    }
  }

  const whole = { processes: 0, adapter: { name: '', isSoftware: false } }
  beforeAll(async () => {
    const { engine, processes } = await openWithKill(99, () => 0)
    Object.assign(whole, { processes, adapter: engine.adapter })
    await engine.close()
  })

  test.each([1, 2, 3])('still has WebGPU, kernels and models: process %i', async (nth) => {
    const { engine, processes } = await openWithKill(nth, (pids) => pids[nth - 1] ?? 0)
    try {
      if (nth <= whole.processes) expect(processes).toBeGreaterThan(whole.processes)
      await until('it serves', () => engine.kernels === 'any' && engine.models.length === 1)
      expect(engine.adapter).toEqual(whole.adapter)
      const job = modelJob('littoral-embed-400k', [[1], encodeBytes(['is my data safe?'])])
      expect((await runJob(engine, job)).bytes.length).toBe(512)
    } finally {
      await engine.close()
    }
  })
})

describe('a local node with --device cpu', () => {
  test('[G11] serves models, names no GPU, and refuses kernels', async () => {
    const engine = await openNode({ device: 'cpu', models: ['littoral-embed-400k'] })
    try {
      expect(engine.kernels).toEqual([])
      const job = modelJob('littoral-embed-400k', [[1], encodeBytes(['is my data safe?'])])
      const { answer } = await runJob(engine, job)
      expect(answer).toMatchObject({ provider: 'cpu', adapter: { isSoftware: true } })
      const kernel = kernelJob({ wgsl: 'fn f() {}', buffers: [{}] })
      await expect(runJob(engine, kernel)).rejects.toMatchObject({ code: 'forbidden' })
    } finally {
      await engine.close()
    }
  })

  test('[G19] withdraws the models of a dead process at once, and offers them again with the next process', async () => {
    const others = new Set(engineProcesses())
    const offered: number[] = []
    const engine = await openNode({
      device: 'cpu',
      models: ['littoral-embed-400k'],
      onChange: () => offered.push(engine.models.length),
    })
    try {
      for (const pid of engineProcesses()) if (!others.has(pid)) process.kill(pid, 'SIGKILL')
      await until('the models are back', () => offered.length === 2)
      expect(offered).toEqual([0, 1])
      const job = modelJob('littoral-embed-400k', [[1], encodeBytes(['is my data safe?'])])
      expect((await runJob(engine, job)).bytes.length).toBe(512)
    } finally {
      await engine.close()
    }
  })

  test('keeps secrets of its environment from the processes that run strangers’ code', async () => {
    const others = new Set(engineProcesses())
    process.env.LITTORAL_NODE_KEY = 'a key of this test'
    const engine = await openNode()
    try {
      const started = engineProcesses().filter((pid) => !others.has(pid))
      expect(started.length).toBeGreaterThan(0)
      for (const pid of started)
        expect(readFileSync(`/proc/${pid}/environ`, 'utf8')).not.toContain('a key of this test')
    } finally {
      delete process.env.LITTORAL_NODE_KEY
      await engine.close()
    }
  })
})

function engineProcesses(): number[] {
  return descendantsOf(process.pid).filter((pid) => commandOf(pid).includes('engine-child.ts'))
}
