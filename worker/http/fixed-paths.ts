/** A router that searches a path without parameters once. Hono's own search allocates several objects for each request. */
import type { Result, Router } from 'hono/router'
import { TrieRouter } from 'hono/router/trie-router'

/** Routes must not be added after the first request. */
export class FixedPaths<T> implements Router<T> {
  readonly name = 'FixedPaths'
  readonly #routes = new TrieRouter<T>()
  /** Only paths that were added themselves are remembered, so no client can fill this. */
  readonly #fixed = new Set<string>()
  readonly #found = new Map<string, Result<T>>()

  add(method: string, path: string, handler: T): void {
    this.#routes.add(method, path, handler)
    if (!/[*:{?]/.test(path)) this.#fixed.add(path)
  }

  match(method: string, path: string): Result<T> {
    if (!this.#fixed.has(path)) return this.#routes.match(method, path)
    const name = `${method} ${path}`
    const known = this.#found.get(name)
    if (known !== undefined) return known
    const found = this.#routes.match(method, path)
    if (found[0].length > 0 && METHODS.has(method)) this.#found.set(name, found)
    return found
  }
}

/** A method is any word that a client writes. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS'])
