/** Keeps the API keys of a local stack between starts, in a file that only its owner may read. */
import { readFile, writeFile } from 'node:fs/promises'
import { z } from 'zod'
import type { KeyRequest, Operator } from './operator.ts'

const Kept = z.record(z.string(), z.strictObject({ id: z.string(), key: z.string() }))

export interface KeyRing {
  /** The tenant's key from an earlier start if it is still active, or a new one. */
  key(request: KeyRequest): Promise<string>
}

export function createKeyRing(path: string, operator: Operator): KeyRing {
  return {
    async key(request) {
      const kept = Kept.parse(JSON.parse(await readFile(path, 'utf8').catch(() => '{}')))
      const known = kept[request.tenant]
      const active = await operator.activeKeys(request.tenant)
      if (known !== undefined && active.includes(known.id)) return known.key
      const { id, key } = await operator.createKey(request)
      kept[request.tenant] = { id, key }
      await writeFile(path, JSON.stringify(kept), { mode: 0o600 })
      return key
    },
  }
}
