/** How every engine writes text: the trainer's own answers, streamed, stopped, seeded and bounded. Rules: docs/design/engine.md. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { Engine } from '#engine/engine.ts'
import { readText, textJob, type TextJobOptions } from '../support/engine-jobs.ts'
import { runJob } from './run-job.ts'

interface Pair {
  readonly q: string
  readonly out: string
}

const GOLDEN = JSON.parse(
  readFileSync(new URL('../../models/littoral-chat-2m/golden.json', import.meta.url), 'utf8'),
) as readonly object[]
const PAIRS = GOLDEN.filter((entry): entry is Pair => 'q' in entry)

export function describeText(engine: () => Engine): void {
  const ask = async (options: TextJobOptions) => {
    const { answer, bytes } = await runJob(engine(), textJob(options))
    return { answer, bytes, ...readText(bytes) }
  }

  test.each(PAIRS)('[G13] asked $q, the model says what it said to its trainer', async (pair) => {
    const { answer, bytes, text, end, tokens } = await ask({ user: pair.q })
    expect(text).toBe(pair.out)
    expect(end).toMatchObject({ finish: 'stop' })
    expect(tokens.length).toBeGreaterThan(2)
    expect(answer.outputs).toEqual([
      { name: 'events', datatype: 'UINT8', shape: [bytes.length], sizeBytes: bytes.length },
    ])
  })
}
