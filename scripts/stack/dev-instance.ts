/** Reads `.littoral/dev.json`, which `npm start` writes for the other commands. */
import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { Address, Bytes32 } from '#shared/base/ids.ts'
import { repositoryPath } from '#scripts/base/paths.ts'

/** The members that commands read. */
export const DevInstance = z.looseObject({
  url: z.url(),
  apiKey: z.string(),
  chain: z.looseObject({
    rpc: z.url(),
    chainId: z.int(),
    settlement: Address,
    testUsd: Address,
  }),
  /** Public key of the audit logs' checkpoints. */
  logKey: Bytes32.optional(),
  /** Nodes have simulated places. */
  simulatedPlaces: z.boolean().default(false),
})
export type DevInstance = z.infer<typeof DevInstance>

/** Undefined when no instance has run in this working copy. */
export async function readDevInstance(): Promise<DevInstance | undefined> {
  const text = await readFile(repositoryPath('.littoral/dev.json'), 'utf8').catch(() => undefined)
  return text === undefined ? undefined : DevInstance.parse(JSON.parse(text))
}
