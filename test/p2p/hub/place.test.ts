/** Evidence of place with the real code of hubs and nodes. Proxies that delay bytes make distance. */
import { afterEach, describe, expect, it } from 'vitest'
import type { NetworkNode } from '#shared/api/network.ts'
import type { NodeCore } from '#node-core/node-core.ts'
import { NodeId } from '#shared/base/ids.ts'
import { countrySet, isSubset } from '#shared/law/region.ts'
import { signAttestation } from '#shared/place/evidence.ts'
import { createSigner, generateSigningKey } from '#shared/proof/signature.ts'
import { startAnchoredHubs, type AnchoredHubs } from '#test/support/hub/anchored-hubs.ts'
import type { City } from '#test/support/hub/evidence.ts'
import { compiled } from '#test/support/hub/policies.ts'
import { until } from '#test/support/poll.ts'

let hubs: AnchoredHubs | undefined
afterEach(() => hubs?.close())

const EUROPE: City[] = ['frankfurt', 'amsterdam', 'warsaw']

function shown(city: City, node: NodeCore): NetworkNode | undefined {
  const { nodeId } = node.state()
  return hubs
    ?.core(city)
    .status()
    .nodes.find((each) => each.nodeId === nodeId)
}

/** Waits until the hub's conclusion includes each of these anchors. */
async function measuredBy(
  node: NodeCore,
  hub: City,
  anchors: readonly City[],
): Promise<NetworkNode> {
  let seen: NetworkNode | undefined
  await until(`measured by ${anchors.join(', ')}`, () => {
    seen = shown(hub, node)
    const record = hubs?.core(hub).directory.get(node.state().nodeId)?.evidence.record()
    const known = record?.echoes.map(({ statement }) => statement.anchor) ?? []
    return anchors.every((city) => known.includes(`hub-${city}`))
  })
  if (seen === undefined) throw new Error('not there')
  return seen
}

describe('[PL6] a node', () => {
  it('in Frankfurt is bounded inside the EEA by its hub and two other anchors', async () => {
    hubs = await startAnchoredHubs(EUROPE)
    const oneWayMs = { frankfurt: 0, amsterdam: 4, warsaw: 9 }
    const node = await hubs.join({ claim: 'DE', hub: 'frankfurt', oneWayMs })
    await measuredBy(node, 'frankfurt', EUROPE)
    const evidence = () =>
      hubs?.core('frankfurt').directory.get(node.state().nodeId)?.evidence.record()
    // On a busy machine it takes some measurements until the shortest round trip is short enough.
    await until('bounded inside the EEA', () => {
      const record = evidence()
      return record?.class === 'bounded' && isSubset(record.possible, countrySet(['EEA']))
    })
    const record = evidence()
    expect(record?.source).toBe('simulated')
    expect(record?.reasons.join(' ')).toContain('Bounded by round trips to hub-frankfurt')
    await until('told', () => node.state().welcome?.place.evidence === 'bounded')
    expect(node.state().evidence.join(' ')).toContain('Bounded')

    const policy = compiled({
      compute: { allow: ['EEA'], deny: [] },
      minEvidence: 'bounded',
      dataClass: 'public',
    })
    const { outcome } = await hubs.ask('frankfurt', policy, new Uint8Array(4))
    expect(outcome.place).toMatchObject({ evidence: 'bounded', source: 'simulated' })
    expect(outcome.place.evidenceHash).not.toMatch(/^0x0+$/)
  })

  it('beside the Virginia anchor that claims Germany is contradicted, quarantined and told why', async () => {
    hubs = await startAnchoredHubs(['frankfurt', 'amsterdam', 'ashburn'])
    const oneWayMs = { frankfurt: 20, amsterdam: 20, ashburn: 0 }
    const node = await hubs.join({ claim: 'DE', hub: 'frankfurt', oneWayMs })
    await until('contradicted', () => shown('frankfurt', node)?.evidence === 'contradicted')
    expect(shown('frankfurt', node)?.quarantine).toMatch(/claims DE.*hub-ashburn.*DE is at least/)
    await until('told', () => node.state().welcome?.quarantine != null)
    expect(node.state().detail).toContain('hub-ashburn')
    expect(node.state().welcome?.quarantine).toContain('hub-ashburn')

    // A reconnect does not help: the measurement is remembered.
    await node.pause()
    await node.start()
    await until('online', () => node.state().phase === 'online')
    expect(node.state().welcome?.quarantine).toContain('hub-ashburn')
  })

  it('in Frankfurt on a slow line stays observed, works, and is not penalised', async () => {
    hubs = await startAnchoredHubs(EUROPE)
    const oneWayMs = { frankfurt: 20, amsterdam: 20, warsaw: 20 }
    const node = await hubs.join({ claim: 'DE', hub: 'frankfurt', oneWayMs })
    const seen = await measuredBy(node, 'frankfurt', EUROPE)
    expect(seen).toMatchObject({ evidence: 'observed', quarantine: null, relaySuspected: false })
    expect(seen.evidenceReasons.join(' ')).toContain('proves nothing and costs nothing')
  })

  it('in Virginia behind a relay in Frankfurt is suspected of a relay, and never bounded', async () => {
    hubs = await startAnchoredHubs(EUROPE)
    // The edge sees the relay: a German address, and TCP that answers in two milliseconds.
    const oneWayMs = { frankfurt: 20, amsterdam: 20, warsaw: 20 }
    const relayed = { claim: 'DE', hub: 'frankfurt', oneWayMs, transportRttMs: 2 } as const
    const node = await hubs.join(relayed)
    const seen = await measuredBy(node, 'frankfurt', EUROPE)
    expect(seen).toMatchObject({ evidence: 'observed', relaySuspected: true, quarantine: null })
    expect(seen.evidenceReasons.join(' ')).toContain('relay_suspected')
  })

  it('is attested exactly while an operator’s statement stands', async () => {
    hubs = await startAnchoredHubs(['frankfurt'])
    const node = await hubs.join({ claim: 'DE', hub: 'frankfurt', oneWayMs: { frankfurt: 0 } })
    await until('online', () => node.state().phase === 'online')
    const core = hubs.core('frankfurt')
    const attester = await createSigner(await generateSigningKey(false))
    const nodeId = NodeId.parse(node.state().nodeId)
    const statement = {
      version: 1,
      nodeId,
      country: 'DE',
      issuedAtMs: Date.now(),
      expiresAtMs: Date.now() + 60_000,
    } as const
    core.attest(await signAttestation(statement, attester))
    expect(shown('frankfurt', node)).toMatchObject({ evidence: 'attested', trust: 'dedicated' })
    await until('told', () => node.state().welcome?.place.trust === 'dedicated')
    expect(core.unattest(nodeId)).toBe(true)
    expect(shown('frankfurt', node)).toMatchObject({ evidence: 'observed', trust: 'public' })
  })
})
