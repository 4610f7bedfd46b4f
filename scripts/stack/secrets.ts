/** Secrets of an instance, generated once for each state folder, in a file that only its owner may read. */
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { Bytes32 } from '#shared/base/ids.ts'

const Secrets = z.object({
  OPERATOR_KEY: z.string(),
  ADMISSION_SECRET: z.string(),
  LOG_KEY: Bytes32,
})
type Secrets = z.infer<typeof Secrets>

/** Adds the secrets that the file lacks. */
export function loadSecrets(stateDir: string): Secrets {
  const path = join(stateDir, 'secrets.json')
  const before: unknown = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {}
  const kept = Secrets.partial().parse(before)
  const fresh = () => randomBytes(32).toString('hex')
  const secrets = Secrets.parse({
    OPERATOR_KEY: kept.OPERATOR_KEY ?? fresh(),
    ADMISSION_SECRET: kept.ADMISSION_SECRET ?? fresh(),
    LOG_KEY: kept.LOG_KEY ?? `0x${fresh()}`,
  })
  if (Object.keys(kept).length < Object.keys(secrets).length) writePrivate(path, secrets)
  return secrets
}

/** Writes JSON that only its owner may read. */
export function writePrivate(path: string, content: unknown): void {
  writeFileSync(path, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 })
  chmodSync(path, 0o600)
}
