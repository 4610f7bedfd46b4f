/** Durable Objects are opened in the requested jurisdiction or not at all. */
import { describe, expect, it } from 'vitest'
import { toAppError } from '#shared/base/errors.ts'
import { eligibleRegions } from '#worker/dispatch/hubs.ts'
import type { ObjectNamespace } from '#worker/platform/config.ts'
import { canStore, openObject, tenantJurisdiction } from '#worker/protocols/durable-objects.ts'

/** Reports which object was opened, and where. */
function namespace(place: string): ObjectNamespace {
  return {
    getByName: (name) => `${place}/${name}`,
    jurisdiction: (jurisdiction) => namespace(jurisdiction),
  }
}

/** Like plain workerd. */
const workerd: ObjectNamespace = {
  getByName: (name) => `here/${name}`,
  jurisdiction() {
    throw new Error('not implemented in workerd')
  },
}

describe('[E5] opening an object', () => {
  it('asks Cloudflare for the jurisdiction', () => {
    const open = (jurisdiction: 'any' | 'eu') =>
      openObject(namespace('global'), { name: 'acme', jurisdiction }, { deployment: 'cloudflare' })
    expect(open('any')).toBe('global/acme')
    expect(open('eu')).toBe('eu/acme')
  })

  it('gives a self-hosted deployment its own place and no other', () => {
    const open = (jurisdiction: 'any' | 'eu' | 'us') =>
      openObject(workerd, { name: 'acme', jurisdiction }, { deployment: 'eu' })
    expect(open('any')).toBe('here/acme')
    expect(open('eu')).toBe('here/acme')
    try {
      open('us')
      expect.unreachable()
    } catch (error) {
      expect(toAppError(error)).toMatchObject({
        code: 'residency_unsatisfiable',
        meta: { rule: 'storage.jurisdiction' },
      })
    }
  })

  it("reads a tenant's jurisdiction off its name", () => {
    expect(tenantJurisdiction('eu--acme')).toBe('eu')
    expect(tenantJurisdiction('fedramp-high--acme')).toBe('fedramp-high')
    expect(tenantJurisdiction('eu-acme')).toBe('any')
    expect(tenantJurisdiction('europe--acme')).toBe('any')
  })
})

describe('[E6] records with a storage pin', () => {
  it('are kept there only', () => {
    expect(canStore('eu', 'eu', { deployment: 'cloudflare' })).toBe(true)
    expect(canStore('eu', 'any', { deployment: 'cloudflare' })).toBe(false)
    expect(canStore('eu', 'any', { deployment: 'eu' })).toBe(true)
    expect(canStore('eu', 'any', { deployment: 'any' })).toBe(false)
    expect(canStore('any', 'us', { deployment: 'cloudflare' })).toBe(true)
  })

  it('pass only through hubs there', () => {
    const regions = [
      { name: 'hub', jurisdiction: 'any' as const, shards: 1 },
      { name: 'hub-eu', jurisdiction: 'eu' as const, shards: 4 },
    ]
    const names = (storage: 'any' | 'eu' | 'us') =>
      eligibleRegions({ storage }, { regions, deployment: 'cloudflare' }).map(({ name }) => name)
    expect(names('any')).toEqual(['hub', 'hub-eu'])
    expect(names('eu')).toEqual(['hub-eu'])
    expect(names('us')).toEqual([])
  })
})
