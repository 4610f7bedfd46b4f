/** A session over a simulated network whose nodes come and go: what a correct client gets. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AppError } from '#shared/base/errors.ts'
import { NodeId, randomBytes } from '#shared/base/ids.ts'
import { decodeBase64, encodeBase64 } from '#shared/base/base64.ts'
import { ServerMessage, type StepMessage } from '#worker/hub/session/messages.ts'
import type { DispatchRequest, DispatchResult } from '#worker/protocols/hub.ts'
import { Session, type SessionDeps } from '#worker/hub/session/session.ts'
import { kernelOutcome } from '#test/support/hub/outcome.ts'
import { compiled, TENANT } from '#test/support/hub/policies.ts'

const POLICY = compiled({ compute: { allow: ['WORLD'], deny: [] } })
const NODES = ['a', 'b', 'c'].map((letter) => NodeId.parse(letter.repeat(40).replaceAll('l', 'm')))

const OPEN = {
  type: 'open',
  kernel: { wgsl: 'state += input', entryPoint: 'main', workgroups: [1, 1, 1] },
  buffers: [
    { role: 'state', binding: 0, sizeBytes: 4 },
    { role: 'input', binding: 1, sizeBytes: 4 },
    { role: 'output', binding: 2, sizeBytes: 4 },
  ],
}

const word = (value: number) => {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value, true)
  return bytes
}
const readWord = (bytes: Uint8Array | undefined) =>
  new DataView((bytes ?? new Uint8Array(4)).slice().buffer).getUint32(0, true)

/** Nodes that add each input to a kept state and answer with the sum; `loses` says when one forgets or dies. */
class Network {
  readonly #states = new Map<string, { step: number; sum: number }>()
  readonly #loses: () => boolean
  jobs = 0

  constructor(loses: () => boolean) {
    this.#loses = loses
  }

  dispatch: SessionDeps['dispatch'] = async (request, payload) => {
    await Promise.resolve()
    this.jobs += 1
    const { work, nodeId } = request
    if (work.kind !== 'kernel' || work.session === undefined) throw new Error('no session work')
    const node = nodeId ?? NODES[this.jobs % NODES.length] ?? ''
    const key = `${node}/${work.session.id}`
    if (nodeId !== null && this.#loses()) {
      this.#states.delete(key)
      throw new AppError('node_lost', 'gone')
    }
    const isRestored = work.buffers[0]?.filled === true
    const before = this.#states.get(key)
    if (!isRestored && before?.step !== work.session.step - 1)
      throw new AppError('node_lost', 'no state')
    const start = isRestored ? readWord(payload.subarray(0, 4)) : (before?.sum ?? 0)
    const sum = (start + readWord(payload.subarray(isRestored ? 4 : 0))) >>> 0
    this.#states.set(key, { step: work.session.step, sum })
    return answer(request, node, sum)
  }
}

function answer({ work }: DispatchRequest, node: string, sum: number): DispatchResult {
  const returned = work.kind === 'kernel' ? work.buffers.filter((b) => b.return) : []
  const payload = new Uint8Array(returned.length * 4)
  returned.forEach((_, i) => payload.set(word(sum), i * 4))
  return { payload, outcome: kernelOutcome(returned, { nodeId: NodeId.parse(node) }) }
}

/** A client that sends all its inputs at once and resumes when told to. */
async function runClient(network: Network, inputs: readonly number[], checkpointEvery: number) {
  const sums = new Map<number, number>()
  const moves: number[] = []
  const steps: number[] = []
  const done = Promise.withResolvers<void>()
  const step = (n: number): StepMessage => ({
    type: 'step',
    step: n,
    inputs: [{ binding: 1, data: encodeBase64(word(inputs[n - 1] ?? 0)) }],
  })
  const session: Session = new Session({
    grant: () =>
      Promise.resolve({
        requestId: 'req',
        tenant: TENANT,
        keyId: 'key',
        consumer: null,
        policy: POLICY,
        allowed: POLICY.compute,
        ingress: 0,
        traceparent: null,
      }),
    dispatch: network.dispatch,
    reserve: () => Promise.resolve(() => {}),
    hold: () => {},
    release: () => {},
    randomBytes,
    close: (_code, reason) => done.reject(new Error(reason)),
    send(text) {
      const message = ServerMessage.parse(JSON.parse(text))
      if (message.type === 'error') done.reject(new Error(message.error.message))
      if (message.type === 'moved') {
        moves.push(message.resumeFrom)
        for (let n = message.resumeFrom; n <= inputs.length; n += 1)
          session.onMessage(JSON.stringify(step(n)))
      }
      if (message.type !== 'result') return
      steps.push(message.step)
      sums.set(message.step, readWord(decodeBase64(message.outputs[0]?.data ?? '')))
      if (message.step === inputs.length) done.resolve()
    },
  })
  session.onMessage(JSON.stringify({ ...OPEN, checkpointEvery }))
  for (let n = 1; n <= inputs.length; n += 1) session.onMessage(JSON.stringify(step(n)))
  await done.promise
  return { sums, moves, steps }
}

describe('a session', () => {
  it('computes each step from all inputs before it, whatever nodes are lost', async () => {
    const scenario = fc.record({
      inputs: fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { minLength: 1, maxLength: 40 }),
      checkpointEvery: fc.integer({ min: 1, max: 10 }),
      losses: fc.array(fc.boolean(), { maxLength: 60 }),
    })
    await fc.assert(
      fc.asyncProperty(scenario, async ({ inputs, checkpointEvery, losses }) => {
        // The scheduler handles nodes that are lost for ever. Here at most every second step loses one.
        let turn = 0
        const network = new Network(() => (turn += 1) % 2 === 0 && losses[turn] === true)
        const { sums, steps, moves } = await runClient(network, inputs, checkpointEvery)
        let sum = 0
        inputs.forEach((input, i) => {
          sum = (sum + input) >>> 0
          expect(sums.get(i + 1)).toBe(sum)
        })
        // In order: each step follows the last one, or is where the client was told to resume.
        steps.forEach((step, i) => {
          const before = steps[i - 1] ?? 0
          expect(step === before + 1 || moves.includes(step)).toBe(true)
        })
      }),
      { numRuns: 200 },
    )
  })

  it('costs one job a step while its node lives', async () => {
    const network = new Network(() => false)
    const { steps, moves } = await runClient(network, [1, 2, 3, 4, 5], 2)
    expect({ steps, moves, jobs: network.jobs }).toEqual({
      steps: [1, 2, 3, 4, 5],
      moves: [],
      jobs: 5,
    })
  })

  it('repeats at most the steps between two checkpoints', async () => {
    let calls = 0
    const network = new Network(() => (calls += 1) === 9)
    const { moves, steps } = await runClient(
      network,
      Array.from({ length: 12 }, () => 1),
      4,
    )
    expect(moves).toEqual([9])
    // Step 9 was answered, and again after step 10 had found its node gone.
    expect(steps).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 10, 11, 12])
  })
})

describe('a client that breaks the session’s protocol', () => {
  const open = (dispatch: SessionDeps['dispatch']) => {
    const sent: ServerMessage[] = []
    const closed: string[] = []
    const session = new Session({
      grant: () => Promise.reject(new AppError('unauthenticated', 'revoked')),
      dispatch,
      reserve: () => Promise.resolve(() => {}),
      hold: () => {},
      release: () => {},
      randomBytes,
      close: (_code, reason) => void closed.push(reason),
      send: (text) => void sent.push(ServerMessage.parse(JSON.parse(text))),
    })
    return { session, sent, closed }
  }
  const never: SessionDeps['dispatch'] = () => Promise.reject(new Error('no job may go out'))
  const step = { type: 'step', step: 1, inputs: [{ binding: 1, data: encodeBase64(word(1)) }] }

  it.each([
    ['what is not JSON', ['{']],
    ['a member that is there twice', [JSON.stringify(OPEN).replace('{', '{"type":"open",')]],
    ['a step before it is open', [JSON.stringify(step)]],
    ['a second open', [JSON.stringify(OPEN), JSON.stringify(OPEN)]],
    ['a step out of turn', [JSON.stringify(OPEN), JSON.stringify({ ...step, step: 3 })]],
    ['no buffer to answer with', [JSON.stringify({ ...OPEN, buffers: OPEN.buffers.slice(0, 2) })]],
    [
      'two buffers of one binding',
      [
        JSON.stringify({
          ...OPEN,
          buffers: [...OPEN.buffers, { role: 'output', binding: 0, sizeBytes: 4 }],
        }),
      ],
    ],
  ])('is closed with invalid_request over %s', (_what, messages) => {
    const { session, sent, closed } = open(never)
    for (const message of messages) session.onMessage(message)
    expect(sent.at(-1)).toMatchObject({ type: 'error', error: { code: 'invalid_request' } })
    expect(closed).toEqual(['invalid_request'])
  })

  it('ends when its key is revoked, without sending a step to any node', async () => {
    const { session, sent, closed } = open(never)
    session.onMessage(JSON.stringify(OPEN))
    session.onMessage(JSON.stringify(step))
    await new Promise((resolve) => setTimeout(resolve, 0))
    expect(sent.at(-1)).toMatchObject({ type: 'error', error: { code: 'unauthenticated' } })
    expect(closed).toEqual(['unauthenticated'])
  })
})
