/** What a hub holds against its members, and for how long. */
import { describe, expect, it } from 'vitest'
import { NodeId } from '#shared/ids.ts'
import type { PresenceRecord } from '#shared/node.ts'
import { Directory, type Member } from '#worker/hub/directory.ts'
import { placeIn, standsAt } from '#test/support/place.ts'

const ID = NodeId.parse('12D3KooWGRUfVhn7rP1fhW4mRDVmWcuJwuYRhUPxGX5EcHCZx9ij')
const SIGNED = { record: '', signature: '' }

function record(claim: string, sequence: number): PresenceRecord {
  return {
    version: 1,
    nodeId: ID,
    sequence,
    issuedAtMs: 0,
    claim,
    kind: 'local',
    receiptKey: { x: `0x${'1'.repeat(64)}`, y: `0x${'2'.repeat(64)}` },
    adapter: { name: 'none', isSoftware: true },
    models: [],
    kernels: 'any',
    maxJobs: 1,
  } as unknown as PresenceRecord
}

function join(directory: Directory): Member {
  const member: Member = {
    admission: { nodeId: ID, claim: 'DE', networks: [], voucher: null, voice: ID },
    evidence: standsAt(placeIn('DE')),
    link: { rttMs: () => 1, inFlight: () => 0 } as unknown as Member['link'],
    presence: record('DE', 1),
    signedPresence: SIGNED,
    quarantine: null,
    jobsDone: 0,
    serviceMs: new Map(),
  }
  directory.add(member)
  return member
}

describe('[E4] a presence record that claims another country', () => {
  it('quarantines the node, and new evidence for the first country does not end that', () => {
    const directory = new Directory()
    const member = join(directory)
    directory.refresh(record('FR', 2), SIGNED)
    expect(member.quarantine).toContain('claims FR')
    directory.judge(member, null)
    expect(member.quarantine).toContain('claims FR')
  })

  it('is over when a newer one claims what the node was admitted with', () => {
    const directory = new Directory()
    const member = join(directory)
    directory.refresh(record('FR', 2), SIGNED)
    directory.refresh(record('DE', 3), SIGNED)
    directory.judge(member, null)
    expect(member.quarantine).toBeNull()
  })
})
