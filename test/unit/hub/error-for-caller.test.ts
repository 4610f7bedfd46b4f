/** Which node's error reaches the caller when nodes have failed a job. */
import { describe, expect, it } from 'vitest'
import { AppError, type ErrorCode } from '#shared/base/errors.ts'
import { NodeError } from '#p2p/stream/wire-error.ts'
import { errorForCaller, type AttemptEnd } from '#worker/hub/attempts/error-for-caller.ts'

const LOST = new AppError('node_lost', 'The node left.')
const stranger = (code: ErrorCode): AttemptEnd => ({
  nodeError: new NodeError(code, 'a stranger'),
  isMeasured: false,
})
const known = (code?: ErrorCode): AttemptEnd => ({
  nodeError: code === undefined ? undefined : new NodeError(code, 'a known node'),
  isMeasured: true,
})
const told = (...ends: readonly AttemptEnd[]) => errorForCaller(ends, LOST).code

describe('[N11] what nodes say of the work', () => {
  it('reaches the caller if no node has answered such work, or all that have agree', () => {
    expect(told(stranger('internal'), stranger('too_large'))).toBe('too_large')
    expect(told(known('too_large'), known('too_large'), stranger('internal'))).toBe('too_large')
  })

  it('does not reach the caller if a node that has answered such work disagrees or says nothing', () => {
    const strangers = [stranger('too_large'), stranger('too_large')]
    expect(told(...strangers, known('no_capacity'))).toBe('no_capacity')
    expect(told(known('internal'), ...strangers)).toBe('node_lost')
    expect(told(...strangers, known())).toBe('node_lost')
    expect(told(known('too_large'), known('no_capacity'))).toBe('no_capacity')
  })
})
