/** A bundle with one value changed: the verifier names a check that failed, whatever the value. */
import { expect, it } from 'vitest'
import { verifyBundle } from '#shared/verify/whole.ts'
import { createRandom } from '#test/support/random.ts'
import { makeBundle } from '#test/support/storage/bundle.ts'
import { editValue, leafPaths, type Json } from '#test/support/storage/edit-json.ts'

/** Where a value says only what the deployment promises; see [V1] in docs/design/trust.md. */
const PROMISES = new Set(['settlesWithinMs'])

it('[V3] finds every value that was changed, in trees that are not complete', async () => {
  const { bundle, trust } = await makeBundle({ jobs: 2 })
  expect((await verifyBundle(bundle, trust)).ok).toBe(true)
  const random = createRandom(3)
  const paths = leafPaths(bundle as unknown as Json).filter(([first = '']) => !PROMISES.has(first))
  expect(paths.length).toBeGreaterThan(200)
  for (const path of paths) {
    const { verdict } = await verifyBundle(editValue(bundle, path, random.below(4_096)), trust)
    expect(verdict.result, path.join('.')).toBe('fails')
  }
})
