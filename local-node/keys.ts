/** The node's two keys, each in a file that only its owner may read; made on the first start. */
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { PrivateKey } from '@libp2p/interface'
import { identityFromBytes, identityToBytes, newIdentity } from '#p2p/peers/node.ts'
import {
  createSigner,
  exportSigningKey,
  generateSigningKey,
  importSigningKey,
  type Signer,
} from '#shared/base/signature.ts'

export interface NodeKeys {
  readonly identity: PrivateKey
  readonly signer: Signer
}

/** Name of the receipt key's file inside the state folder; `scripts/commands/claim.ts` signs payouts with it. */
export const RECEIPT_KEY_FILE = 'receipt-key.jwk'

export async function loadKeys(stateDir: string): Promise<NodeKeys> {
  await mkdir(stateDir, { recursive: true, mode: 0o700 })
  const peerFile = join(stateDir, 'peer-key.bin')
  const receiptFile = join(stateDir, RECEIPT_KEY_FILE)
  if (!existsSync(peerFile))
    await writeFile(peerFile, identityToBytes(await newIdentity()), { mode: 0o600, flag: 'wx' })
  if (!existsSync(receiptFile)) {
    await writeFile(receiptFile, await exportSigningKey(await generateSigningKey(true)), {
      mode: 0o600,
      flag: 'wx',
    })
  }
  return {
    identity: identityFromBytes(new Uint8Array(await readFile(peerFile))),
    signer: await createSigner(await importSigningKey(await readFile(receiptFile, 'utf8'))),
  }
}
