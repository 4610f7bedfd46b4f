import { spawn } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { watchMemory } from '#local-node/engine/memory-watch.ts'
import { until } from '../../support/poll.ts'
import { MIB } from '#shared/base/limits.ts'

/** A process that holds this much memory until it is killed. */
function holder(sizeMib: number) {
  const code = `const held = Buffer.alloc(${sizeMib * MIB}, 1); process.stdout.write('held'); setInterval(() => held.length, 1000)`
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'ignore'] })
  const held = new Promise<void>((resolve) => child.stdout.once('data', () => resolve()))
  return { pid: child.pid ?? 0, held, kill: () => child.kill('SIGKILL') }
}

describe.runIf(process.platform === 'linux')('the memory watch', () => {
  it('calls once for a process over its limit, and not for one under it', async () => {
    const [large, small] = [holder(400), holder(1)]
    let calls = 0
    let falseAlarms = 0
    watchMemory(large.pid, 300 * MIB, () => (calls += 1))
    const stop = watchMemory(small.pid, 300 * MIB, () => (falseAlarms += 1))
    await Promise.all([large.held, small.held])
    await until('the large one is seen', () => calls === 1)
    stop()
    expect(falseAlarms).toBe(0)
    for (const process of [large, small]) process.kill()
  })
})
