/** A full hub sends a node to another hub of the same network, and nowhere else. */
import { multiaddr } from '@multiformats/multiaddr'
import { describe, expect, it } from 'vitest'
import { redirected } from '#p2p/peers/redirect.ts'
import { errorFrame, readHubError, readNodeError } from '#p2p/stream/wire-error.ts'
import { AppError, toAppError } from '#shared/base/errors.ts'

const A = '12D3KooWHFrmLWTTDD4NodngtRMEVYgxrsDMp4F9iSwYntZ9WjHa'
const B = '12D3KooWGRUfVhn7rP1fhW4mRDVmWcuJwuYRhUPxGX5EcHCZx9ij'
const BASE = '/dns4/example.org/tcp/443/tls/ws'
const at = (hub: string, peerId: string) =>
  multiaddr(`${BASE}/http-path/${encodeURIComponent(`p2p/${hub}?token=a.b`)}/p2p/${peerId}`)
const full = (next: unknown) => new AppError('hub_full', 'full', { meta: { next } as object })
const crossed = (error: AppError) => readHubError(errorFrame(0, error))

describe('a refusal of a full hub', () => {
  it('leads to the hub that it names, with the same token at the same host', () => {
    const error = crossed(full({ hub: 'eu-1', peerId: B }))
    expect(redirected(at('eu-0', A), error)?.toString()).toBe(at('eu-1', B).toString())
  })

  it.each([
    ['no hub', undefined],
    ['a path instead of a name', { hub: '../x', peerId: B }],
    ['a host instead of a peer', { hub: 'eu-1', peerId: 'evil/p2p-circuit' }],
    ['more than a hub', { hub: 'eu-1', peerId: B, host: 'evil.example' }],
  ])('that names %s leads nowhere', (_, next) => {
    expect(redirected(at('eu-0', A), crossed(full(next)))).toBeUndefined()
  })

  it('is followed neither for another error nor from an address of another form', () => {
    const other = new AppError('no_capacity', 'busy', { meta: { next: NEXT } as object })
    expect(redirected(at('eu-0', A), crossed(other))).toBeUndefined()
    expect(redirected(multiaddr(`${BASE}/p2p/${A}`), crossed(full(NEXT)))).toBeUndefined()
  })

  it('carries no hub when a node sends it', () => {
    const error = toAppError(readNodeError(errorFrame(1, full(NEXT))))
    expect(error).toMatchObject({ code: 'hub_full', meta: {} })
  })
})

const NEXT = { hub: 'eu-1', peerId: B }
