/** Cancellation without the runtime's signals. */
import { describe, expect, it } from 'vitest'
import { cancellationOf, Canceller, untilCancelled } from '#p2p/stream/cancellation.ts'

const sources = {
  canceller: () => {
    const canceller = new Canceller()
    return { cancellation: canceller, cancel: (reason: unknown) => canceller.cancel(reason) }
  },
  signal: () => {
    const abort = new AbortController()
    const cancel = (reason: unknown) => abort.abort(reason)
    return { cancellation: cancellationOf(abort.signal), cancel }
  },
}

describe.each(Object.entries(sources))('a cancellation by %s', (_name, create) => {
  it('tells each listener once, with the first reason', () => {
    const { cancellation, cancel } = create()
    const heard: unknown[] = []
    const listen = (name: string) => () => heard.push([name, cancellation.reason])
    cancellation.onCancel(listen('kept'))
    cancellation.onCancel(listen('removed'))()
    expect(cancellation.isCancelled).toBe(false)
    cancel('first')
    cancel('second')
    expect(heard).toEqual([['kept', 'first']])
    expect(cancellation.isCancelled).toBe(true)
  })

  it('tells one that listens too late at once', () => {
    const { cancellation, cancel } = create()
    cancel('before')
    const heard: unknown[] = []
    cancellation.onCancel(() => heard.push(cancellation.reason))()
    expect(heard).toEqual(['before'])
  })

  it('ends what waits with its reason, and only that', async () => {
    const { cancellation, cancel } = create()
    const reason = new Error('enough')
    const waiting = untilCancelled(new Promise<never>(() => {}), cancellation)
    await expect(untilCancelled(Promise.resolve('done'), cancellation)).resolves.toBe('done')
    cancel(reason)
    await expect(waiting).rejects.toBe(reason)
  })
})

describe('a canceller', () => {
  it('tells the others when one listener throws', () => {
    const canceller = new Canceller()
    const heard: string[] = []
    canceller.onCancel(() => {
      throw new Error('a fault')
    })
    canceller.onCancel(() => heard.push('second'))
    expect(() => canceller.cancel('why')).toThrow('a fault')
    expect(heard).toEqual(['second'])
  })
})
