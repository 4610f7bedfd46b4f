/** Limits the rooms and returns on a request's way through the Worker. */
import { execFileSync } from 'node:child_process'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { repositoryPath } from '#scripts/base/paths.ts'

const Walk = z.object({ rooms: z.int(), returns: z.int(), steps: z.array(z.string()) })

it('a chat request goes from its route to the hub through at most 12 rooms, with at most 8 returns', () => {
  const args = [repositoryPath('scripts/commands/walk.ts'), '--json']
  const walk = Walk.parse(JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })))
  expect(walk.steps[0]).toBe('worker/api/openai')
  expect(walk.steps.at(-1)).toBe('worker/dispatch')
  expect(walk.rooms).toBeLessThanOrEqual(12)
  expect(walk.returns, walk.steps.join(' → ')).toBeLessThanOrEqual(8)
})
