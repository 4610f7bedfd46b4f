import { describe, expect, it } from 'vitest'
import type { Work } from '#shared/job/job.ts'
import { createSlots } from '#worker/hub/members/slots.ts'

const work: Work = { kind: 'model', model: 'm', digest: `0x${'1'.repeat(64)}`, inputs: [] }

describe('slots of a node', () => {
  it('are counted by work from the choice on, and given back once', () => {
    const slots = createSlots(() => 0)
    const counts = slots.of('node')
    const [first] = [slots.take('node', work), slots.take('node', { ...work, model: 'other' })]
    expect(counts).toMatchObject({
      all: 2,
      byWork: new Map([
        ['m', 1],
        ['other', 1],
      ]),
    })
    first()
    first()
    expect(counts).toMatchObject({ all: 1, byWork: new Map([['other', 1]]) })
  })

  it('are still counted for a node that has left with a job and come back', () => {
    const slots = createSlots(() => 0)
    const giveBack = slots.take('node', work)
    slots.left('node')
    expect(slots.of('node').all).toBe(1)
    giveBack()
    expect(slots.of('node').all).toBe(0)
  })
})
