import { describe, expect, it } from 'vitest'
import { AppError } from '#shared/base/errors.ts'
import { keepRunning, type Child, type Keeper } from '#scripts/stack/keep-running.ts'

/** A child that the test ends. */
interface FakeChild extends Child {
  readonly id: number
  end(how: string): void
}

/** A keeper whose pauses the test ends. */
function createScene(options: { readonly startsThatFail?: number } = {}) {
  const said: string[] = []
  const gaveUp: string[] = []
  const pauses: number[] = []
  const started: FakeChild[] = []
  let nowMs = 0
  let failures = 0
  const keeper: Keeper = {
    say: (text) => said.push(text),
    giveUp: ({ detail }) => gaveUp.push(detail),
    nowMs: () => nowMs,
    wait: (ms) => {
      pauses.push(ms)
      nowMs += ms
      return Promise.resolve()
    },
  }
  const start = (): Promise<FakeChild> => {
    if (started.length > 0 && failures < (options.startsThatFail ?? 0)) {
      failures += 1
      return Promise.reject(
        new AppError('internal', 'workerd did not start:\nthe port is taken\nbind(): in use\n'),
      )
    }
    const { promise: ended, resolve: end } = Promise.withResolvers<string>()
    const close = () => Promise.resolve(end('code 0'))
    const child = { id: started.length, ended, end, close }
    started.push(child)
    return Promise.resolve(child)
  }
  const settle = async () => {
    for (let turn = 0; turn < 200; turn += 1) await Promise.resolve()
  }
  return {
    said,
    gaveUp,
    pauses,
    started,
    keeper,
    start,
    settle,
    pass: (ms: number) => (nowMs += ms),
  }
}

/** The pauses before restarts, without the short one after each end. */
const growing = (pauses: readonly number[]) => pauses.filter((ms) => ms !== 100)

describe('a child that is kept running', () => {
  it('is restarted when it ends, and its end is reported', async () => {
    const { start, started, keeper, said, settle } = createScene()
    const kept = await keepRunning('workerd', start, keeper, '; it answers once it is warm')
    started[0]?.end('signal SIGKILL')
    await settle()
    expect(kept.current().id).toBe(1)
    expect(said[0]).toMatch(/^workerd ended: signal SIGKILL\. Starting it again in 0\.5 s/)
    expect(said[0]).toContain('; it answers once it is warm')
    expect(said.at(-1)).toBe('workerd runs again')
  })

  it('is restarted after longer pauses each time, and given up when it cannot start', async () => {
    const { start, started, keeper, gaveUp, pauses, settle } = createScene({ startsThatFail: 99 })
    await keepRunning('workerd', start, keeper)
    started[0]?.end('code 1')
    await settle()
    expect(growing(pauses)).toEqual([500, 1_000, 2_000, 4_000, 8_000])
    expect(gaveUp).toEqual([
      expect.stringMatching(/^workerd ended .* the port is taken; .*\. It is not/),
    ])
  })

  it('is reported in single lines, also when a failed start has several', async () => {
    const { start, started, keeper, said, settle } = createScene({ startsThatFail: 1 })
    await keepRunning('workerd', start, keeper)
    started[0]?.end('code 1')
    await settle()
    expect(said.filter((line) => line.includes('\n'))).toEqual([])
    expect(said[1]).toBe(
      'workerd ended: workerd did not start; the port is taken; bind(): in use. Starting it again in 1 s (2 of 5)',
    )
  })

  it('is also given up when it ends soon after each start', async () => {
    const { start, started, keeper, gaveUp, settle } = createScene()
    await keepRunning('workerd', start, keeper)
    for (let life = 0; life < 6; life += 1) {
      started[life]?.end('code 1')
      await settle()
    }
    expect(started).toHaveLength(6)
    expect(gaveUp).toHaveLength(1)
  })

  it('gets the short pause again after it has run for a minute', async () => {
    const { start, started, keeper, gaveUp, pauses, pass, settle } = createScene()
    await keepRunning('workerd', start, keeper)
    for (let life = 0; life < 20; life += 1) {
      pass(60_000)
      started[life]?.end('code 1')
      await settle()
    }
    expect(new Set(growing(pauses))).toEqual(new Set([500]))
    expect(gaveUp).toEqual([])
  })

  it('is not restarted after it was closed or replaced on purpose', async () => {
    const { start, started, keeper, said, settle } = createScene()
    const kept = await keepRunning('workerd', start, keeper)
    await kept.replace((child) => child.close())
    await settle()
    expect(kept.current().id).toBe(1)
    await kept.close()
    await settle()
    expect(started).toHaveLength(2)
    expect(said).toEqual([])
  })

  it('is closed when closing was requested during a restart', async () => {
    const { start, started, keeper, settle } = createScene()
    let isClosing = false
    const closing: Keeper = {
      ...keeper,
      wait: async () => {
        if (!isClosing) return
        await kept.close()
      },
    }
    const kept = await keepRunning('workerd', start, closing)
    isClosing = true
    started[0]?.end('signal SIGKILL')
    await settle()
    expect(started).toHaveLength(1)
  })

  it('is not restarted without a keeper', async () => {
    const { start, started, settle } = createScene()
    await keepRunning('workerd', start)
    started[0]?.end('signal SIGKILL')
    await settle()
    expect(started).toHaveLength(1)
  })
})
