/** A hub's records of its members: quarantine, speed, silence and bars. */
import { describe, expect, it } from 'vitest'
import { NodeId } from '#shared/base/ids.ts'
import type { Work } from '#shared/job/job.ts'
import { Directory, type Member } from '#worker/hub/members/directory.ts'
import { placeIn, standsAt } from '#test/support/hub/place.ts'
import { presenceOf } from '#test/support/hub/presence.ts'

const ID = NodeId.parse('12D3KooWGRUfVhn7rP1fhW4mRDVmWcuJwuYRhUPxGX5EcHCZx9ij')
const SIGNED = { record: '', signature: '' }

const receiptKey = { x: `0x${'1'.repeat(64)}`, y: `0x${'2'.repeat(64)}` } as const
const record = (claim: string, sequence: number) =>
  presenceOf({ nodeId: ID, receiptKey, claim, sequence, maxJobs: 1, issuedAtMs: 0 })

function join(directory: Directory): Member {
  const member: Member = {
    admission: { nodeId: ID, claim: 'DE', networks: [], voucher: null, reporter: ID },
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
  it('quarantines the node, even after new evidence for the first country', () => {
    const directory = new Directory()
    const member = join(directory)
    directory.refresh(record('FR', 2), SIGNED)
    expect(member.quarantine).toContain('claims FR')
    directory.judge(member, null)
    expect(member.quarantine).toContain('claims FR')
  })

  it('ends the quarantine when a newer record claims the admitted country again', () => {
    const directory = new Directory()
    const member = join(directory)
    directory.refresh(record('FR', 2), SIGNED)
    directory.refresh(record('DE', 3), SIGNED)
    directory.judge(member, null)
    expect(member.quarantine).toBeNull()
  })
})

describe('[N10] how fast a node is', () => {
  const work: Work = { kind: 'model', model: 'm', digest: `0x${'1'.repeat(64)}`, inputs: [] }
  const other = NodeId.parse('12D3KooWBmAwcd4PJNJvfV89HwE48nwkRmAgo8Vy3uQEyNNHBox2')

  it('is measured, never claimed: an unmeasured node counts as the median of the others', () => {
    const directory = new Directory()
    const member = join(directory)
    directory.recordService(member, work, { ms: 41, units: 1 })
    const claims = {
      ...record('DE', 1),
      nodeId: other,
      models: [{ id: 'm', digest: work.digest, provider: 'cpu' as const, serviceMs: 0 }],
    }
    const admission = { ...member.admission, nodeId: other }
    directory.add({ ...member, admission, presence: claims, serviceMs: new Map() })
    const view = directory.views(work, 1).find(({ nodeId }) => nodeId === other)
    expect(view).toMatchObject({ serviceMs: 40, isMeasured: false })
  })

  it('is worse after a job that it never ended, and what is slow depends only on its own answers', () => {
    const directory = new Directory()
    const member = join(directory)
    directory.recordService(member, work, { ms: 40, units: 10 })
    directory.silent(member, work, { ms: 5_000, units: 10 })
    expect(directory.views(work, 10)[0]?.serviceMs).toBeGreaterThan(5_000)
    expect(directory.slowestMs(member, work, 10)).toBe(40)
    expect(directory.slowestMs(member, work, 100)).toBe(400)
  })

  it('depends on the size of the job: a small one is not predicted to take as long as a large one', () => {
    const directory = new Directory()
    const member = join(directory)
    directory.recordService(member, work, { ms: 40_001, units: 200 })
    expect(directory.views(work, 200)[0]?.serviceMs).toBe(40_000)
    expect(directory.views(work, 1)[0]?.serviceMs).toBe(200)
  })

  it('is measured again some minutes after it never ended a first job', () => {
    let nowMs = 1_000_000
    const directory = new Directory(() => nowMs)
    const member = join(directory)
    const about = { ms: 59_000, units: 200 }
    directory.silent(member, work, about)
    expect(directory.views(work, 200)[0]).toMatchObject({ isSuspect: true, isMeasured: false })
    nowMs += 300_000
    expect(directory.views(work, 200)[0]).toMatchObject({ isSuspect: false, serviceMs: 100 })
  })

  it('allows one job of a kind until it has answered one, and twice as many with each answer', () => {
    const directory = new Directory()
    const member = join(directory)
    const slots = () => directory.views(work, 1)[0]?.slots
    const seen = Array.from({ length: 5 }, () => {
      const before = slots()
      directory.recordService(member, work, { ms: 40, units: 1 })
      return before
    })
    expect(seen).toEqual([1, 2, 4, 8, 8])
  })

  it('lets a disconnected node return after ten minutes, and answers make up for a job never ended', () => {
    let nowMs = 1_000_000
    const directory = new Directory(() => nowMs)
    const member = join(directory)
    const { nodeId } = member.admission
    const link = { ...member.link, close: () => Promise.resolve() }
    const closable = { ...member, link }
    directory.add(closable)
    const silence = { ms: 59_000, units: 1 }
    directory.silent(closable, work, silence)
    for (let i = 0; i < 32; i += 1) directory.answered(closable)
    directory.silent(closable, work, silence)
    expect(directory.barredMs(nodeId)).toBe(0)
    directory.silent(closable, work, silence)
    expect(directory.barredMs(nodeId)).toBe(600_000)
    expect(directory.get(nodeId)).toBeUndefined()
    nowMs += 600_000
    expect(directory.barredMs(nodeId)).toBe(0)
  })

  it('ranks it behind others for longer after each job without an answer, until it answers one', () => {
    let nowMs = 1_000_000
    const directory = new Directory(() => nowMs)
    const member = join(directory)
    const view = () => directory.views(work, 1)[0]
    const behindMs = () => {
      // Silences at one moment count as one.
      for (let i = 0; i < 8; i += 1) directory.failed(member)
      const sinceMs = nowMs
      while (view()?.isSuspect === true) nowMs += 1_000
      return nowMs - sinceMs
    }
    expect(Array.from({ length: 7 }, behindMs)).toEqual(
      [2, 4, 8, 16, 32, 64, 64].map((seconds) => seconds * 1_000),
    )
    expect(view()).toMatchObject({ isSuspect: false, isBehind: true })
    directory.failed(member)
    directory.answered(member)
    expect(view()).toMatchObject({ isSuspect: false, isBehind: false })
    expect(behindMs()).toBe(16_000)
    expect(directory.barredMs(member.admission.nodeId)).toBe(0)
  })

  it('costs a node that is only suspected nothing but its turn', () => {
    const directory = new Directory()
    const member = join(directory)
    for (let i = 0; i < 100; i += 1) directory.suspect(member)
    expect(directory.views(work, 1)[0]?.isSuspect).toBe(true)
    expect(directory.barredMs(member.admission.nodeId)).toBe(0)
  })
})
