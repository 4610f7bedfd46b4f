/** The quick looks at messages accept nothing that a schema refuses, and take the messages of every day. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { z } from 'zod'
import { JobResult } from '#p2p/stream/messages.ts'
import { isUsualOffer, SentOffer, SentOfferSchema } from '#p2p/work/sent-offer.ts'
import { isUsualResult } from '#p2p/work/sent-result.ts'
import { nearValues } from '#test/support/near-values.ts'
import { ClientMessage, isUsualStep } from '#worker/hub/session/messages.ts'
import { createTestHub, createTestNode } from '#test/support/hub/work.ts'
import { peerIdOf } from '#p2p/peers/node.ts'

const hash = `0x${'ab'.repeat(32)}`
const input = { name: 'x', datatype: 'FP32', shape: [1, 4], sizeBytes: 16 }
const buffer = { binding: 0, access: 'read_write', sizeBytes: 4, filled: true, return: true }
const kernel = {
  kind: 'kernel',
  wgsl: '@compute fn main() {}',
  entryPoint: 'main',
  workgroups: [1, 1, 1],
  buffers: [buffer, { ...buffer, binding: 1, keep: true }],
  digest: hash,
}
const WORKS = {
  model: { kind: 'model', model: 'm', digest: hash, inputs: [input, input] },
  text: { kind: 'text', model: 'm', digest: hash, inputBytes: 2, maxTokens: 1 },
  kernel,
  step: { ...kernel, session: { id: hash, step: 3 } },
}

async function usualOffer(work: object) {
  const [hub, node] = [await createTestHub(), await createTestNode()]
  const offer = await hub.offer(peerIdOf(node.identity), new Uint8Array([1, 2, 3]))
  return JSON.parse(JSON.stringify({ ...offer, policy: null, work })) as object
}

test.each(Object.entries(WORKS))(
  'an offer of %s work needs no pass of the schema',
  async (_, work) => {
    const offer = await usualOffer(work)
    expect(isUsualOffer(offer)).toBe(true)
    expect(SentOfferSchema.safeParse(offer)).toEqual({ success: true, data: offer })
    expect(SentOffer.safeParse(offer)).toEqual({ success: true, data: offer })
  },
)

test('an offer with its policy, a library kernel or features is left to the schema, and accepted', async () => {
  const hub = await createTestHub()
  const offer = await hub.offer(peerIdOf((await createTestNode()).identity), new Uint8Array(3))
  const library = {
    kind: 'library',
    kernel: 'fft@1',
    digest: hash,
    inputs: [input],
    params: { n: 1 },
  }
  for (const other of [
    offer,
    { ...offer, policy: null, work: library },
    { ...offer, policy: null, work: { ...kernel, requires: ['f16'] } },
  ]) {
    expect(isUsualOffer(other)).toBe(false)
    expect(SentOffer.safeParse(other).success).toBe(true)
  }
})

test('no offer that was changed anywhere passes the quick look and fails the schema', async () => {
  const offers = await Promise.all(Object.values(WORKS).map(usualOffer))
  expectSubset(offers, isUsualOffer, SentOfferSchema)
})

const result = {
  answer: {
    outputs: [{ name: 'y', datatype: 'UINT8', shape: [3], sizeBytes: 3 }],
    provider: 'webgpu',
    adapter: { name: 'a', isSoftware: false },
    computeMs: 1.5,
  },
  work: {
    outputCommitment: hash,
    units: 1,
    startedAtMs: 1,
    finishedAtMs: 2,
    provider: 'webgpu',
  },
  nodeSignature: { index: 1, size: 2, path: [hash], signature: `0x${'cd'.repeat(64)}` },
}

test('a result needs no pass of the schema', () => {
  expect(isUsualResult(result)).toBe(true)
  expect(JobResult.safeParse(result)).toEqual({ success: true, data: result })
})

test('no result that was changed anywhere passes the quick look and fails the schema', () => {
  expectSubset([result], isUsualResult, JobResult)
})

const step = { type: 'step', step: 2, inputs: [{ binding: 1, data: 'AAAA' }], received: 3 }

test('a step of a session needs no pass of the schema', () => {
  expect(isUsualStep(step)).toBe(true)
  expect(ClientMessage.safeParse(step)).toEqual({ success: true, data: step })
})

test('no step that was changed anywhere passes the quick look and fails the schema', () => {
  expectSubset([step, { ...step, received: undefined }], isUsualStep, ClientMessage)
})

/** What passes the quick look is accepted by the schema, and left as it is. */
function expectSubset(
  values: readonly object[],
  isUsual: (value: unknown) => boolean,
  schema: Pick<z.ZodType, 'safeParse'>,
) {
  let passed = 0
  const property = fc.property(nearValues(values), (value) => {
    if (!isUsual(value)) return
    passed += 1
    expect(schema.safeParse(value)).toEqual({ success: true, data: value })
  })
  fc.assert(property, { numRuns: 4_000 })
  // Some changes are harmless; otherwise the property would say little.
  expect(passed).toBeGreaterThan(10)
}
