/** The node's two keys, each in a file that only its owner may read; created at the first start. */
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { identityFromBytes, identityToBytes, newIdentity } from '#p2p/peers/node.ts'
import {
  createSigner,
  exportSigningKey,
  generateSigningKey,
  importSigningKey,
} from '#shared/proof/signature.ts'

export type NodeKeys = Awaited<ReturnType<typeof loadKeys>>

export async function loadKeys(stateDir: string) {
  await mkdir(stateDir, { recursive: true, mode: 0o700 })
  const peerFile = join(stateDir, 'peer-key.bin')
  // `scripts/commands/claim.ts` signs payouts with it.
  const receiptFile = join(stateDir, 'receipt-key.jwk')
  const isNew = { mode: 0o600, flag: 'wx' }
  if (!existsSync(peerFile)) await writeFile(peerFile, identityToBytes(await newIdentity()), isNew)
  if (!existsSync(receiptFile))
    await writeFile(receiptFile, await exportSigningKey(await generateSigningKey(true)), isNew)
  return {
    identity: identityFromBytes(new Uint8Array(await readFile(peerFile))),
    signer: await createSigner(await importSigningKey(await readFile(receiptFile, 'utf8'))),
  }
}
