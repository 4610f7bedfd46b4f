/** A hub's identity: its libp2p key and signing key, created once and kept in its storage. */
import type { PrivateKey } from '@libp2p/interface'
import { identityFromBytes, identityToBytes, newIdentity } from '#p2p/peers/node.ts'
import { AppError } from '#shared/base/errors.ts'
import type { Jurisdiction } from '#shared/law/policy.ts'
import {
  createSigner,
  exportSigningKey,
  generateSigningKey,
  importSigningKey,
  type Signer,
} from '#shared/proof/signature.ts'
import { bytesToHex, hexToBytes, type Hex } from 'viem'
import type { SqlStorage } from '#worker/platform/storage.ts'

export interface HubIdentity {
  readonly privateKey: PrivateKey
  readonly signer: Signer
}

/**
 * @param jurisdiction of the hub, which it keeps: its receipts belong to the ledger of that one
 * @throws {AppError} internal for a hub that began in another jurisdiction
 */
export async function loadIdentity(
  { sql }: SqlStorage,
  jurisdiction: Jurisdiction,
): Promise<HubIdentity> {
  const kept = new Map(
    sql
      .exec('SELECT name, value FROM identity')
      .toArray()
      .map((row) => [String(row.name), String(row.value)]),
  )
  const began = kept.get('jurisdiction') ?? jurisdiction
  if (began !== jurisdiction)
    throw new AppError(
      'internal',
      `This hub began in jurisdiction ${began}, and HUB_REGIONS now has its region in ${jurisdiction}. Name the region as it was.`,
    )
  const peer = kept.get('peer')
  const signing = kept.get('signing')
  const privateKey =
    peer === undefined ? await newIdentity() : identityFromBytes(hexToBytes(peer as Hex))
  const keys =
    signing === undefined ? await generateSigningKey(true) : await importSigningKey(signing)
  const keep = (name: string, value: string) =>
    sql.exec('INSERT OR IGNORE INTO identity (name, value) VALUES (?, ?)', name, value)
  keep('jurisdiction', jurisdiction)
  if (peer === undefined) keep('peer', bytesToHex(identityToBytes(privateKey)))
  if (signing === undefined) keep('signing', await exportSigningKey(keys))
  return { privateKey, signer: await createSigner(keys) }
}
