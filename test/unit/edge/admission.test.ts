/** Admission tokens: origin, content and expiry. */
import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { beforeAll, describe, expect, it } from 'vitest'
import { toAppError } from '#shared/base/errors.ts'
import { NodeId, randomBytes } from '#shared/base/ids.ts'
import { signAdmission, verifyAdmission, ADMISSION_TTL_MS } from '#worker/edge/admission.ts'
import { hubAddress } from '#worker/api/nodes/hub-address.ts'
import { multiaddr } from '@multiformats/multiaddr'

const secret = 'the secret of this deployment'
const nowMs = 1_800_000_000_000
let nodeId: NodeId

beforeAll(async () => {
  nodeId = NodeId.parse(peerIdFromPrivateKey(await generateKeyPair('Ed25519')).toString())
})

const sign = (by = secret) =>
  signAdmission(
    { nodeId, claim: 'DE', trust: 'public', hubs: { 'eu-0': nodeId, 'eu-3': nodeId } },
    { secret: by, nowMs, random: randomBytes },
  )

const codeOf = (token: string, atMs = nowMs, hub = 'eu-0') =>
  verifyAdmission(token, { secret, nowMs: atMs, hub }).then(
    () => 'admitted',
    (error: unknown) => toAppError(error).code,
  )

describe('[E4] an admission token', () => {
  it('says who was admitted, with which claim and trust', async () => {
    const { token, expiresAtMs } = await sign()
    const claims = await verifyAdmission(token, { secret, nowMs, hub: 'eu-0' })
    expect(claims).toMatchObject({ nodeId, claim: 'DE', trust: 'public', expiresAtMs })
  })

  it('expires', async () => {
    const { token } = await sign()
    expect(await codeOf(token, nowMs + ADMISSION_TTL_MS)).toBe('admitted')
    expect(await codeOf(token, nowMs + ADMISSION_TTL_MS + 1)).toBe('forbidden')
  })

  it('is for the hubs that it names, and for no other', async () => {
    const { token } = await sign()
    expect(await codeOf(token, nowMs, 'eu-3')).toBe('admitted')
    for (const hub of ['eu-1', 'eu-30', 'toString', ''])
      expect(await codeOf(token, nowMs, hub)).toBe('forbidden')
  })

  it('of another deployment is refused', async () => {
    const { token } = await sign('another secret')
    expect(await codeOf(token)).toBe('forbidden')
  })

  it('is refused after a change of any character', async () => {
    const { token } = await sign()
    for (let i = 0; i < token.length; i += 7) {
      const changed = token.slice(0, i) + (token[i] === 'A' ? 'B' : 'A') + token.slice(i + 1)
      expect(await codeOf(changed)).toBe('forbidden')
    }
  })

  it.each(['', '.', 'a.b', 'a.b.c', 'x'.repeat(5000)])('that is %j is refused', async (token) => {
    expect(await codeOf(token)).toBe('forbidden')
  })
})

describe("a hub's address", () => {
  const hub = () => ({ hub: 'hub-0', peerId: nodeId, token: 'body.mac' })

  it.each([
    ['http://127.0.0.1:8787/x', '/ip4/127.0.0.1/tcp/8787/ws'],
    ['http://[::1]:8787/x', '/ip6/::1/tcp/8787/ws'],
    ['http://localhost:8787/x', '/dns4/localhost/tcp/8787/ws'],
    ['https://littoral.example/x', '/dns4/littoral.example/tcp/443/tls/ws'],
  ])('for a request to %s is a multiaddr below %s', (url, base) => {
    const text = hubAddress(new Request(url), { hubAddress: '' }, hub())
    expect(text).toBe(`${base}/http-path/p2p%2Fhub-0%3Ftoken%3Dbody.mac/p2p/${nodeId}`)
    expect(multiaddr(text).toString()).toBe(text)
  })

  it('is the one that the operator configures', () => {
    const config = { hubAddress: '/dns4/hubs.example/tcp/443/tls/ws' }
    const text = hubAddress(new Request('http://10.0.0.1/x'), config, hub())
    expect(text.startsWith(`${config.hubAddress}/http-path/`)).toBe(true)
  })
})
