/** The plain events that replace libp2p's inside a Durable Object behave like the ones they replace. */
import fc from 'fast-check'
import { TypedEventEmitter as Original } from '@libp2p/interface'
import { describe, expect, it, vi } from 'vitest'
import { TypedEventEmitter } from '#p2p/shims/main-event.ts'

type Step =
  | { readonly do: 'add'; readonly who: number; readonly once: boolean; readonly object: boolean }
  | { readonly do: 'remove'; readonly who: number; readonly object: boolean }
  | { readonly do: 'send' | 'sendSafely' | 'abort' }

const who = fc.nat({ max: 3 })
const object = fc.boolean()
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('add' as const), who, once: fc.boolean(), object }),
  fc.record({ do: fc.constant('remove' as const), who, object }),
  fc.record({ do: fc.constantFrom('send' as const, 'sendSafely' as const, 'abort' as const) }),
)

/** What the listeners hear while the steps are done. The third listener removes the first. */
function hear(target: TypedEventEmitter, steps: readonly Step[]): string[] {
  const heard: string[] = []
  const controller = new AbortController()
  const listeners = [0, 1, 2, 3].map((index) => (event: Event) => {
    heard.push(`${index} ${event.type}`)
    if (index === 2) target.removeEventListener('message', listeners[0] ?? null)
  })
  const objects = listeners.map((handleEvent) => ({ handleEvent }))
  const of = (index: number, isObject: boolean) =>
    (isObject ? objects[index] : listeners[index]) ?? null
  for (const each of steps) {
    if (each.do === 'add') {
      const signal = each.who === 1 ? { signal: controller.signal } : {}
      target.addEventListener('message', of(each.who, each.object), { once: each.once, ...signal })
    } else if (each.do === 'remove')
      target.removeEventListener('message', of(each.who, each.object))
    else if (each.do === 'send') target.dispatchEvent(new Event('message'))
    else if (each.do === 'sendSafely') target.safeDispatchEvent('message', { detail: 1 })
    else controller.abort()
    heard.push(`count ${target.listenerCount('message')}`)
  }
  return heard
}

describe('plain events', () => {
  it('reach the listeners that the original reaches, in the same order', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 24 }), (steps) => {
        const original = new Original() as unknown as TypedEventEmitter
        expect(hear(new TypedEventEmitter(), steps)).toEqual(hear(original, steps))
      }),
      { seed: 3, numRuns: 400 },
    )
  })

  it('do not reach a listener that was added while they were sent, as the standard says', () => {
    const target = new TypedEventEmitter()
    const late = vi.fn()
    target.addEventListener('message', () => target.addEventListener('message', late))
    target.dispatchEvent(new Event('message'))
    expect(late).not.toHaveBeenCalled()
    target.dispatchEvent(new Event('message'))
    expect(late).toHaveBeenCalledOnce()
  })

  it('reach every listener although one throws', () => {
    const target = new TypedEventEmitter()
    const heard: string[] = []
    target.addEventListener('message', () => {
      throw new Error('the first')
    })
    target.addEventListener('message', () => heard.push('the second'))
    expect(() => target.dispatchEvent(new Event('message'))).toThrow('the first')
    expect(heard).toEqual(['the second'])
  })
})
