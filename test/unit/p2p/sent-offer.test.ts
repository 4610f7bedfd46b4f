/** The quick look at an offer accepts nothing that the schema refuses, and takes the offers that hubs send. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { isUsualOffer, SentOffer, SentOfferSchema } from '#p2p/work/sent-offer.ts'
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

/** Values that may stand where another belongs. */
const strange = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    '',
    -1,
    1.5,
    2 ** 60,
    256,
    true,
    [],
    {},
    '0x',
    `${hash}0`,
    `${hash}\n`,
  ),
  fc.constantFrom<unknown>(
    hash,
    hash.toUpperCase(),
    'webgpu',
    'edge',
    'cpu',
    [1, 1, 1],
    [input],
    [buffer],
  ),
  fc.jsonValue(),
)

/** Every path to a member, of objects and arrays alike. */
function pathsOf(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [path]
  return [path, ...Object.entries(value).flatMap(([name, part]) => pathsOf(part, [...path, name]))]
}

type Parts = Record<string, unknown>

test('no offer that was changed anywhere passes the quick look and fails the schema', async () => {
  const offers = await Promise.all(Object.values(WORKS).map(usualOffer))
  let passed = 0
  const property = fc.property(
    fc.constantFrom(...offers),
    fc.nat(),
    fc.constantFrom('set', 'add', 'remove'),
    strange,
    (offer, at, change, value) => {
      const changed = structuredClone(offer) as Parts
      const paths = pathsOf(changed).filter((path) => path.length > 0)
      const path = paths[at % paths.length] ?? []
      const last = path.at(-1) ?? ''
      const parent = path.slice(0, -1).reduce<Parts>((part, name) => part[name] as Parts, changed)
      if (change === 'set') parent[last] = value
      else if (change === 'add') parent[`${last}2`] = value
      else delete parent[last]
      const sent: unknown = JSON.parse(JSON.stringify(changed))
      const isRight = SentOfferSchema.safeParse(sent).success
      if (isUsualOffer(sent)) {
        passed += 1
        expect(isRight).toBe(true)
      }
      expect(SentOffer.safeParse(sent).success).toBe(isRight)
    },
  )
  fc.assert(property, { numRuns: 4_000 })
  // Some changes are harmless; otherwise the property would say little.
  expect(passed).toBeGreaterThan(10)
})
