/** A hub that takes no node sends it to the hub that its admission names next. */
import { describe, expect, it } from 'vitest'
import { NodeId } from '#shared/base/ids.ts'
import { silentLog } from '#shared/base/log.ts'
import { toAppError } from '#shared/base/errors.ts'
import { createSeating } from '#worker/hub/entrance/seating.ts'
import { Directory } from '#worker/hub/members/directory.ts'
import type { Admission } from '#worker/protocols/hub.ts'

const PEERS = [
  '12D3KooWHFrmLWTTDD4NodngtRMEVYgxrsDMp4F9iSwYntZ9WjHa',
  '12D3KooWGRUfVhn7rP1fhW4mRDVmWcuJwuYRhUPxGX5EcHCZx9ij',
].map((id) => NodeId.parse(id)) as [NodeId, NodeId]

function refusal(hub: string, hubs: Admission['hubs']) {
  const seating = createSeating({
    hub,
    directory: new Directory(),
    now: () => 0,
    log: silentLog,
    isDraining: true,
    seats: 5,
    hasSeatsElsewhere: () => true,
  })
  const admission = { nodeId: PEERS[0], block: 'b', voucher: null, hubs } as unknown as Admission
  try {
    seating.check(admission)
  } catch (error) {
    return toAppError(error)
  }
  throw new Error('the hub took the node')
}

describe('a hub that takes no nodes', () => {
  const hubs = { 'eu-4': PEERS[0], 'eu-2': PEERS[1] }

  it('names the hub that comes after it in the admission, whose token admits to no other', () => {
    const { code, meta } = refusal('eu-4', hubs)
    expect({ code, meta }).toEqual({
      code: 'hub_full',
      meta: { next: { hub: 'eu-2', peerId: PEERS[1] } },
    })
  })

  it('names none if it is the last: the node then asks for another admission', () => {
    expect(refusal('eu-2', hubs)).toMatchObject({ code: 'hub_full', meta: {} })
  })
})
