/** The app's router finds what Hono's own finds, and remembers only paths that are routes. */
import fc from 'fast-check'
import { TrieRouter } from 'hono/router/trie-router'
import { describe, expect, it } from 'vitest'
import { FixedPaths } from '#worker/http/fixed-paths.ts'

const METHODS = ['GET', 'POST', 'ALL']
const PATHS = ['/', '*', '/v1/*', '/v1/jobs', '/v1/jobs/:id', '/v1/models/:model{.+}', '/v2']
const ASKED = ['/', '/v1/jobs', '/v1/jobs/7', '/v1/jobs/8', '/v1/models/a/b', '/v2', '/v3', '/v1/']

describe('the router', () => {
  it('finds what Hono finds, however often and in whatever order it is asked', () => {
    const routes = fc.array(fc.tuple(fc.constantFrom(...METHODS), fc.constantFrom(...PATHS)), {
      minLength: 1,
      maxLength: 8,
    })
    const requests = fc.array(
      fc.tuple(fc.constantFrom('GET', 'POST', 'PURGE'), fc.constantFrom(...ASKED)),
      { maxLength: 24 },
    )
    fc.assert(
      fc.property(routes, requests, (added, asked) => {
        const [ours, honos] = [new FixedPaths<number>(), new TrieRouter<number>()]
        for (const [index, [method, path]] of added.entries()) {
          ours.add(method, path, index)
          honos.add(method, path, index)
        }
        for (const [method, path] of asked)
          expect(ours.match(method, path)).toEqual(honos.match(method, path))
      }),
      { seed: 11, numRuns: 300 },
    )
  })

  it('searches a fixed path once, and every other path each time', () => {
    const router = new FixedPaths<string>()
    router.add('ALL', '*', 'scope')
    router.add('POST', '/v1/embeddings', 'embed')
    router.add('GET', '/v1/jobs/:id', 'job')
    const again = (method: string, path: string) =>
      router.match(method, path) === router.match(method, path)
    expect(again('POST', '/v1/embeddings')).toBe(true)
    for (const [method, path] of [
      ['GET', '/v1/jobs/7'],
      ['POST', '/made/up'],
      // A method is any word that a client writes.
      ['INVENTED', '/v1/embeddings'],
    ] as const)
      expect(again(method, path)).toBe(false)
  })
})
