import { bytesToHex, hexToBytes } from 'viem'
import { describe, expect, it } from 'vitest'
import { newIdentity, peerIdOf } from '#p2p/peers/node.ts'
import { concludeEvidence } from '#shared/place/conclude-evidence.ts'
import { echoMessage } from '#shared/place/echo.ts'
import { placeOf, signAttestation, signEcho, type EvidenceRecord } from '#shared/place/evidence.ts'
import { NodeId, randomBytes } from '#shared/base/ids.ts'
import { createSigner, generateSigningKey } from '#shared/proof/signature.ts'
import { verifyEvidence } from '#shared/verify/evidence.ts'
import type { EvidenceTrust } from '#shared/verify/trust.ts'
import { seenIn } from '#test/support/hub/evidence.ts'
import { createReceiptMaker } from '#test/support/hub/receipts.ts'

const DOMAIN = { chainId: 31_337, verifyingContract: `0x${'5e'.repeat(20)}` } as const
const NOW_MS = 1_800_000_000_000
const unread = { domain: DOMAIN, unread: 'no endpoint', liveHubKeys: [] }

/** A record with one echo that its anchor signed, and its node or a stranger. */
async function recordOf(signedBy: 'node' | 'stranger') {
  const identity = await newIdentity()
  const signer = await createSigner(await generateSigningKey(true))
  const nodeId = NodeId.parse(peerIdOf(identity))
  const anchorPeerId = NodeId.parse(peerIdOf(await newIdentity()))
  const nonce = bytesToHex(randomBytes(32))
  const by = signedBy === 'node' ? identity : await newIdentity()
  const message = echoMessage(hexToBytes(nonce), { anchorPeerId, nodeId })
  const echo = await signEcho(
    {
      version: 1,
      nodeId,
      anchor: 'hub-test',
      anchorPeerId,
      place: { lat: 50.1, lon: 8.7, slackKm: 10, isSimulated: false },
      minRttMs: 3.5,
      transportRttMs: null,
      samples: 8,
      nonce,
      nodeSignature: bytesToHex(await by.sign(message)),
      measuredAtMs: NOW_MS - 1_000,
    },
    signer,
  )
  const times = { issuedAtMs: NOW_MS - 2_000, expiresAtMs: NOW_MS + 86_400_000 }
  const statement = { version: 1, nodeId, country: 'DE', ...times } as const
  const record = concludeEvidence(
    {
      nodeId,
      hub: 'hub-test',
      claim: 'DE',
      observation: seenIn('DE'),
      echoes: [echo],
      attestation: await signAttestation(statement, signer),
    },
    NOW_MS - 500,
  )
  return { record, key: signer.publicKey }
}

async function judge(record: EvidenceRecord, trust: EvidenceTrust) {
  const maker = await createReceiptMaker(DOMAIN)
  const receipt = await maker.make({
    place: placeOf(record, { trust: 'public', voucher: null }),
    ticket: { nodeId: record.nodeId },
  })
  const lines = await verifyEvidence(receipt, record, trust)
  return Object.fromEntries(lines.map(({ name, result }) => [name, result]))
}

describe('a record of evidence', () => {
  it('passes when chain and attesters know its keys, and is open when they are unknown', async () => {
    const { record, key } = await recordOf('node')
    const chain = { isHubKey: async ({ x }: { readonly x: string }) => x === key.x }
    const whole = await judge(record, { chain, attesters: [key] })
    expect(new Set(Object.values(whole))).toEqual(new Set(['passed']))
    const page = await judge(record, { chain: unread, attesters: null })
    expect(page).toEqual({ ...whole, 'evidence.echo': 'open', 'evidence.attestation': 'open' })
    const stranger = await judge(record, { chain: { isHubKey: async () => false }, attesters: [] })
    expect(stranger).toMatchObject({ 'evidence.echo': 'failed', 'evidence.attestation': 'failed' })
  })

  it('fails for an echo that its node has not signed, even if the chain cannot be read', async () => {
    const { record } = await recordOf('stranger')
    for (const chain of [unread, { isHubKey: async () => true }])
      expect(await judge(record, { chain, attesters: null })).toMatchObject({
        'evidence.echo': 'failed',
      })
  })
})
