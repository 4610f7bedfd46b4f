import { describe, expect, it } from 'vitest'
import { serviceOf, strongerOf } from '#worker/checking/service.ts'

describe('how a job is answered', () => {
  it('[CH4] lets a node with standing answer alone, and a newcomer never', () => {
    expect(serviceOf('sampled', { proven: 1, newcomers: 9 })).toBe('alone')
    expect(serviceOf('none', { proven: 1, newcomers: 0 })).toBe('alone')
    expect(serviceOf('sampled', { proven: 0, newcomers: 1 })).toBe('refused')
  })

  it('takes two newcomers that agree when no other node is there, unless no second node may see the input', () => {
    expect(serviceOf('sampled', { proven: 0, newcomers: 2 })).toBe('pair')
    expect(serviceOf('none', { proven: 0, newcomers: 2 })).toBe('refused')
  })

  it('takes two nodes for a replicated job, however good the one is', () => {
    expect(serviceOf('replicated', { proven: 2, newcomers: 0 })).toBe('pair')
    expect(serviceOf('replicated', { proven: 1, newcomers: 0 })).toBe('refused')
  })

  it('lets a request ask for more than its policy, never for less', () => {
    expect(strongerOf('sampled', 'replicated')).toBe('replicated')
    expect(strongerOf('replicated', 'sampled')).toBe('replicated')
    expect(strongerOf('sampled', undefined)).toBe('sampled')
  })
})
