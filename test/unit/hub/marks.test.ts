/** A node that one hub has quarantined or sent away gets no work at another hub of the jurisdiction either. */
import { describe, expect, it } from 'vitest'
import { NodeId } from '#shared/base/ids.ts'
import type { Work } from '#shared/job/job.ts'
import { Directory, type Member } from '#worker/hub/members/directory.ts'
import { MARKS_KEPT, MARKS_TOLD } from '#worker/summary/node-mark.ts'
import { createRegistry, type Reading } from '#worker/summary/registry.ts'
import { packSummary } from '#worker/summary/summary-bytes.ts'
import { placeIn, standsAt } from '#test/support/hub/place.ts'
import { presenceOf } from '#test/support/hub/presence.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'
import { summaryOf } from '#test/support/summary/summaries.ts'

const ID = NodeId.parse('12D3KooWGRUfVhn7rP1fhW4mRDVmWcuJwuYRhUPxGX5EcHCZx9ij')
const receiptKey = { x: `0x${'1'.repeat(64)}`, y: `0x${'2'.repeat(64)}` } as const
const work: Work = { kind: 'model', model: 'm', digest: `0x${'1'.repeat(64)}`, inputs: [] }

function region() {
  let nowMs = 1_000_000
  let epoch = 0
  const storage = createSqliteStorage()
  const open = () => createRegistry({ epoch: `${epoch}`, storage, nowMs: () => nowMs })
  let registry = open()
  const openHub = (hub: string) => {
    const directory = new Directory(() => nowMs)
    let since: Reading | null = null
    return {
      directory,
      join() {
        let isClosed = false
        const told: unknown[] = []
        const link = {
          rttMs: () => 1,
          inFlight: () => 0,
          close: async () => void (isClosed = true),
          tell: ({ quarantine }: { quarantine: unknown }) => void told.push(quarantine),
        }
        const member: Member = {
          admission: { nodeId: ID, claim: 'DE', networks: [], voucher: null, reporter: ID },
          evidence: standsAt(placeIn('DE')),
          link: link as unknown as Member['link'],
          presence: presenceOf({ nodeId: ID, receiptKey, claim: 'DE', maxJobs: 1 }),
          signedPresence: { record: '', signature: '' },
          quarantine: null,
          jobsDone: 0,
          serviceMs: new Map(),
        }
        directory.add(member)
        return Object.assign(member, { isClosed: () => isClosed, told: () => told })
      },
      publish() {
        const summary = packSummary(summaryOf({ hub, atMs: nowMs }))
        const news = registry.publish(summary, { marks: directory.marks.take(), since })
        since = news.marksRead
        directory.heed(news.marks)
        return news.marks.length
      },
    }
  }
  return {
    openHub,
    wait: (ms: number) => void (nowMs += ms),
    restart: () => {
      epoch += 1
      registry = open()
    },
  }
}

describe('a node that goes to another hub', () => {
  it('keeps its quarantine for an hour, whether it is there already or comes later', () => {
    const { openHub, wait } = region()
    const [a, b] = [openHub('eu-0'), openHub('eu-1')]
    a.directory.quarantine(a.join(), 'It answered with other bytes.')
    const early = b.join()
    a.publish()
    b.publish()
    expect(early.quarantine).toBe('It answered with other bytes.')
    b.directory.remove(early)
    const late = b.join()
    b.directory.judge(late, null)
    expect(late.quarantine).toBe('It answered with other bytes.')
    wait(3_600_001)
    b.directory.judge(late, null)
    expect(late.quarantine).toBeNull()
  })

  it('gets work there again after the hour while it stays connected, and is told so', () => {
    const { openHub, wait } = region()
    const [a, b] = [openHub('eu-0'), openHub('eu-1')]
    const here = b.join()
    a.directory.quarantine(a.join(), 'It answered with other bytes.')
    a.publish()
    b.publish()
    expect(here.quarantine).toBe('It answered with other bytes.')
    wait(3_600_001)
    b.publish()
    expect(here.quarantine).toBeNull()
    expect(here.told()).toEqual(['It answered with other bytes.', null])
  })

  it('is not held there to a place that it has corrected', () => {
    const { openHub } = region()
    const [a, b] = [openHub('eu-0'), openHub('eu-1')]
    a.directory.judge(a.join(), 'It was seen elsewhere.')
    a.publish()
    b.publish()
    expect(b.join().quarantine).toBeNull()
  })

  it('keeps its quarantine when it may return after a silence, and when its place is not refuted any more', () => {
    const { openHub, wait } = region()
    const [a, b] = [openHub('eu-0'), openHub('eu-1')]
    const there = a.join()
    a.directory.quarantine(there, 'It answered with other bytes.')
    for (let n = 0; n < 2; n += 1) a.directory.silent(there, work, { ms: 1, units: 1 })
    a.publish()
    b.publish()
    wait(600_000)
    const here = b.join()
    b.directory.judge(here, 'It was seen elsewhere.')
    b.directory.judge(here, null)
    expect(b.directory.barredMs(ID)).toBe(0)
    expect(here.quarantine).toBe('It answered with other bytes.')
  })

  it('is sent away where it was silent on jobs elsewhere, until it may return', () => {
    const { openHub, wait } = region()
    const [a, b] = [openHub('eu-0'), openHub('eu-1')]
    const there = a.join()
    for (let n = 0; n < 2; n += 1) a.directory.silent(there, work, { ms: 1, units: 1 })
    const here = b.join()
    a.publish()
    b.publish()
    expect({ isClosed: here.isClosed(), nodes: b.directory.size }).toEqual({
      isClosed: true,
      nodes: 0,
    })
    expect(b.directory.barredMs(ID)).toBe(600_000)
    wait(600_000)
    expect(b.directory.barredMs(ID)).toBe(0)
  })

  it('is known to hubs that read later, also after a restart of the registry', () => {
    const { openHub, restart } = region()
    const [a, b, c] = [openHub('eu-0'), openHub('eu-1'), openHub('eu-2')]
    expect([a.publish(), b.publish()]).toEqual([0, 0])
    restart()
    a.directory.quarantine(a.join(), 'bad')
    expect([a.publish(), b.publish(), b.publish(), c.publish()]).toEqual([0, 1, 0, 1])
  })
})

describe('the marks of a hub', () => {
  it('are told in bounded parts, and kept in a bounded number', () => {
    const { openHub } = region()
    const [a, b] = [openHub('eu-0'), openHub('eu-1')]
    for (let n = 0; n < MARKS_KEPT + 10; n += 1) a.directory.marks.quarantined(`n${n}`, 'bad')
    let told = 0
    for (let n = 0; n < 50; n += 1) {
      a.publish()
      const heard = b.publish()
      expect(heard).toBeLessThanOrEqual(MARKS_TOLD)
      told += heard
    }
    expect(told).toBe(MARKS_KEPT)
  })

  it('that could not be told are told again, unless there is a newer one', () => {
    const { marks } = new Directory(() => 0)
    marks.quarantined('n', 'bad')
    const lost = marks.take()
    marks.quarantined('n', 'worse')
    marks.giveBack(lost)
    expect(marks.take()).toMatchObject([{ nodeId: 'n', reason: 'worse' }])
  })
})
