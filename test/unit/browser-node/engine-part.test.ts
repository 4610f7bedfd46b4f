/** Replacing a lost engine worker of a tab. */
import { expect, test } from 'vitest'
import {
  createEnginePart,
  type LivingLink,
  ENGINE_RETRY_MAX_MS,
  DEVICES_ABANDONED,
} from '../../../browser-node/engine/engine-part.ts'
import { AppError } from '#shared/base/errors.ts'
import { until } from '../../support/poll.ts'

/** A worker whose life cycle a test controls. */
function createLink(isFree: boolean) {
  const lost = Promise.withResolvers<string>()
  const ended = Promise.withResolvers<void>()
  const rested = Promise.withResolvers<void>()
  const end = (reason: string) => {
    lost.resolve(reason)
    ended.resolve()
    rested.reject(new AppError('node_lost', reason))
  }
  rested.promise.catch(() => {})
  const link: LivingLink = {
    async rest(onHeard) {
      if (isFree) onHeard?.()
      await rested.promise
    },
    lost: lost.promise,
    ended: ended.promise,
    end,
  }
  return { link, lose: (reason: string) => lost.resolve(reason), end, rest: () => rested.resolve() }
}

function createParts({
  fails = () => false,
  isFree = false,
}: { readonly fails?: (opened: number) => boolean; readonly isFree?: boolean } = {}) {
  const links: ReturnType<typeof createLink>[] = []
  const pauses: number[] = []
  /** The trouble at each change. */
  const changes: (string | undefined)[] = []
  let opens = 0
  const part: ReturnType<typeof createEnginePart<LivingLink>> = createEnginePart({
    open: () => {
      opens += 1
      if (fails(opens)) return Promise.reject(new AppError('no_capacity', 'No device answers.'))
      const made = createLink(isFree)
      links.push(made)
      return Promise.resolve(made.link)
    },
    prepare: () => Promise.resolve(),
    onChange: () => changes.push(part.trouble()),
    log: { warn: () => {} },
    pause: (ms) => {
      pauses.push(ms)
      return Promise.resolve()
    },
  })
  return { part, links, pauses, changes }
}

test('a lost worker takes no more work, and another one replaces it', async () => {
  const { part, links, changes } = createParts()
  await part.start()
  expect(part.current()).toBe(links[0]?.link)
  links[0]?.lose('The GPU was lost.')
  await until('another serves', () => part.current() === links[1]?.link)
  await until('the trouble is over', () => part.trouble() === undefined)
  expect(changes).toEqual([undefined, 'The GPU was lost.', undefined])
})

test('start fails with the reason when the first worker cannot be opened', async () => {
  const { part } = createParts({ fails: () => true })
  await expect(part.start()).rejects.toMatchObject({ detail: 'No device answers.' })
})

test('[U9] a caller that needs a worker while one is lost gets its replacement', async () => {
  const { part, links } = createParts()
  await part.start()
  expect(await part.next()).toBe(links[0]?.link)
  links[0]?.lose('A kernel hangs.')
  await links[0]?.link.lost
  expect(part.current()).toBeUndefined()
  expect(await part.next()).toBe(links[1]?.link)
})

test('[C12] a waiting caller fails when no worker can be opened now, or none is wanted', async () => {
  const { part, links } = createParts({ fails: (opened) => opened === 2 })
  await part.start()
  links[0]?.lose('The GPU was lost.')
  await links[0]?.link.lost
  await expect(part.next()).rejects.toMatchObject({
    code: 'node_lost',
    detail: expect.stringContaining('No device answers.'),
  })
  await until('another serves', () => part.current() === links[1]?.link)
  links[1]?.lose('The GPU was lost.')
  await links[1]?.link.lost
  const waiting = part.next()
  void part.rest()
  await expect(waiting).rejects.toMatchObject({ code: 'node_lost' })
})

test('a device that does not return is retried with growing pauses', async () => {
  const { part, links, pauses } = createParts({ fails: (opened) => opened > 1 && opened < 12 })
  await part.start()
  links[0]?.end('The GPU was lost.')
  await until('another serves', () => part.current() === links[1]?.link)
  expect(pauses).toHaveLength(10)
  expect(pauses.toSorted((a, b) => a - b)).toEqual(pauses)
  expect(pauses.at(-1)).toBe(ENGINE_RETRY_MAX_MS)
})

test('[U9] the number of hung devices is bounded, and one that ends makes room', async () => {
  const { part, links } = createParts()
  await part.start()
  for (let hung = 1; hung <= DEVICES_ABANDONED; hung += 1) {
    links[hung - 1]?.lose('A kernel hangs.')
    if (hung < DEVICES_ABANDONED)
      await until('another serves', () => part.current() === links[hung]?.link)
  }
  await until('the last is lost', () => part.current() === undefined)
  expect(links).toHaveLength(DEVICES_ABANDONED)
  links[1]?.end('Its device was lost.')
  await until('another serves', () => part.current() === links.at(DEVICES_ABANDONED)?.link)
})

test('[C5] rest waits for running work and keeps the worker', async () => {
  const { part, links } = createParts()
  await part.start()
  let isResting = true
  const resting = part.rest().then(() => (isResting = false))
  await Promise.resolve()
  expect(isResting).toBe(true)
  links[0]?.rest()
  await resting
  await part.start()
  expect(part.current()).toBe(links[0]?.link)
})

test('[C5] a worker that waits for its device is not ended', async () => {
  const { part, links } = createParts({ isFree: true })
  await part.start()
  const resting = part.rest(0)
  await new Promise((resolve) => setTimeout(resolve, 5))
  links[0]?.rest()
  await resting
  expect(part.current()).toBe(links[0]?.link)
})

test('[C5] a worker that a run blocks for too long is ended, and only a new start opens another', async () => {
  const { part, links } = createParts()
  await part.start()
  await part.rest(0)
  await until('it is ended', () => part.current() === undefined)
  expect(links).toHaveLength(1)
  await part.start()
  expect(part.current()).toBe(links[1]?.link)
})
