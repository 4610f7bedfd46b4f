/** Notices between hubs: only a hub's own signature counts, and only for a while. */
import { HUB_SCHEMA } from '#worker/hub/schema.ts'
import { beforeAll, describe, expect, it } from 'vitest'
import { NodeId } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { silentLog } from '#shared/base/log.ts'
import { createSigner, generateSigningKey, type Signer } from '#shared/proof/signature.ts'
import { createAttestations } from '#worker/hub/place/attestations.ts'
import { createKnownEchoes } from '#worker/hub/place/known-echoes.ts'
import { createNeighbours } from '#worker/hub/mesh/neighbours.ts'
import { takeNotice } from '#worker/hub/mesh/news.ts'
import {
  packNotice,
  readNotice,
  type HubNotice,
  type RemoteNode,
  HUB_NOTICE_BYTES,
} from '#worker/hub/mesh/notice.ts'
import { signAttestation } from '#shared/place/evidence.ts'
import { createEchoMaker, NOW_MS } from '#test/support/hub/evidence.ts'
import { kernelRequest } from '#test/support/hub/hub.ts'
import { placeIn } from '#test/support/hub/place.ts'
import { compiled } from '#test/support/hub/policies.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'

const ID = NodeId.parse('12D3KooWGRUfVhn7rP1fhW4mRDVmWcuJwuYRhUPxGX5EcHCZx9ij')

let hub: Signer
let stranger: Signer
beforeAll(async () => {
  hub = await createSigner(await generateSigningKey(false))
  stranger = await createSigner(await generateSigningKey(false))
})

const remote = (country: string, change: Partial<RemoteNode> = {}): RemoteNode => ({
  nodeId: ID,
  place: placeIn(country),
  networks: [],
  isQuarantined: false,
  models: [],
  loadable: [],
  kernels: 'any',
  ...change,
})
const notice = (change: object = {}): HubNotice =>
  ({ kind: 'node', hub: 'hub-b', sentAtMs: NOW_MS, node: remote('DE'), ...change }) as HubNotice
const read = (bytes: Uint8Array, nowMs = NOW_MS) =>
  readNotice(bytes, {
    keyOf: (name) => Promise.resolve(name === 'hub-b' ? hub.publicKey : undefined),
    nowMs,
  })

describe('[PL7] a notice', () => {
  it('is read if a hub of the deployment has signed it', async () => {
    expect(await read(await packNotice(notice(), hub))).toEqual(notice())
  })

  it('is ignored if another key signed it, it names another hub, a byte is changed, or it is too large', async () => {
    expect(await read(await packNotice(notice(), stranger))).toBeUndefined()
    expect(await read(await packNotice(notice({ hub: 'hub-x' }), hub))).toBeUndefined()
    const text = new TextDecoder().decode(await packNotice(notice(), hub))
    const changed = text.replace('observed', 'attested')
    expect(changed).not.toBe(text)
    expect(await read(new TextEncoder().encode(changed))).toBeUndefined()
    expect(await read(new Uint8Array(HUB_NOTICE_BYTES + 1))).toBeUndefined()
    expect(await read(new TextEncoder().encode('{'))).toBeUndefined()
  })

  it('is ignored when a clock is too far off', async () => {
    const bytes = await packNotice(notice(), hub)
    expect(await read(bytes, NOW_MS + LIMITS.clockSkewMs + 1)).toBeUndefined()
    expect(await read(bytes, NOW_MS - LIMITS.clockSkewMs - 1)).toBeUndefined()
  })
})

describe('[PL7] the neighbours of a hub', () => {
  const german = compiled({ compute: { allow: ['DE'], deny: [] } })
  const job = () => kernelRequest(german, new Uint8Array(4))

  it('are named only if the same filter allows one of their nodes', async () => {
    const neighbours = createNeighbours(() => NOW_MS)
    neighbours.heard('hub-b', remote('FR'), NOW_MS)
    neighbours.heard('hub-c', remote('DE', { isQuarantined: true }), NOW_MS)
    neighbours.heard('hub-d', remote('DE', { kernels: [] }), NOW_MS)
    expect(neighbours.hubsFor(await job())).toEqual([])
    neighbours.heard('hub-e', remote('DE'), NOW_MS)
    expect(neighbours.hubsFor(await job())).toEqual(['hub-e'])
  })

  it('count by their latest notice, and are forgotten when silent', async () => {
    let nowMs = NOW_MS
    const neighbours = createNeighbours(() => nowMs)
    neighbours.left('hub-b', ID, NOW_MS + 5)
    neighbours.heard('hub-b', remote('DE'), NOW_MS)
    expect(neighbours.hubsFor(await job())).toEqual([])
    neighbours.heard('hub-b', remote('DE'), NOW_MS + 6)
    expect(neighbours.hubsFor(await job())).toEqual(['hub-b'])
    nowMs += LIMITS.presenceMaxAgeMs + 7
    expect(neighbours.hubsFor(await job())).toEqual([])
  })
})

it('[PL5] an echo that the node has not signed, or that another hub than its anchor sends, is ignored', async () => {
  const maker = await createEchoMaker()
  const echo = await maker.echo('frankfurt', 1)
  const taken: unknown[] = []
  const reasons: unknown[] = []
  const targets = {
    neighbours: createNeighbours(() => NOW_MS),
    echoes: createKnownEchoes(),
    directory: {
      get: () => ({ evidence: { addEcho: (one: unknown) => taken.push(one) } }) as never,
    },
    log: {
      ...silentLog,
      warn: (_event: string, fields?: Record<string, unknown>) =>
        void reasons.push(fields?.['reason']),
    },
  }
  const from = (name: string): HubNotice => ({ kind: 'echo', hub: name, sentAtMs: NOW_MS, echo })
  await takeNotice(from('hub-frankfurt'), targets)
  await takeNotice(from('hub-warsaw'), targets)
  expect(taken).toEqual([])
  expect(reasons.join(' ')).toMatch(/not signed by node.*hub-warsaw sends what hub-frankfurt/)
})

it('attestations are kept by node until they expire, and a newer one replaces the last', async () => {
  let nowMs = NOW_MS
  const kept = createAttestations(createSqliteStorage({ schema: HUB_SCHEMA }), () => nowMs)
  const make = (country: string, expiresAtMs: number) =>
    signAttestation({ version: 1, nodeId: ID, country, issuedAtMs: NOW_MS, expiresAtMs }, hub)
  kept.put(await make('DE', NOW_MS + 10))
  kept.put(await make('FR', NOW_MS + 20))
  expect(kept.of(ID)?.statement.country).toBe('FR')
  expect(kept.list()).toHaveLength(1)
  nowMs = NOW_MS + 20
  expect(kept.of(ID)).toBeNull()
  expect(kept.remove(ID)).toBe(false)
})
