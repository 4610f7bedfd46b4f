/** The reporter under whom a node's reports count. */
import { describe, expect, test } from 'vitest'
import { TenantId } from '#shared/base/ids.ts'
import { addressBlock, networkOf, reporterOf } from '#worker/edge/reporter.ts'

describe('a reporter', () => {
  test.each([
    ['203.0.113.7', '203.0.113.7', '203.0.113'],
    ['::ffff:203.0.113.200', '203.0.113.200', '203.0.113'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2', '2001:db8:1:2'],
    ['2001:0DB8:0001:0002::1', '2001:db8:1:2', '2001:db8:1:2'],
    ['2001:db8::1', '2001:db8:0:0', '2001:db8:0:0'],
    ['[2001:db8:0:0:9::]', '2001:db8:0:0', '2001:db8:0:0'],
    ['::1', '0:0:0:0', '0:0:0:0'],
    ['fe80::1%eth0', 'fe80:0:0:0', 'fe80:0:0:0'],
    ['', '', ''],
  ])(
    'of a node at %s is that of network %s, and its seat that of block %s',
    (at, network, block) => {
      expect([networkOf(at), addressBlock(at)]).toEqual([network, block])
    },
  )

  test('is one for all nodes of a customer, and for all of one network, and tells neither', async () => {
    const of = (voucher: string | null, address: string) =>
      reporterOf({ voucher: voucher === null ? null : TenantId.parse(voucher), address }, 'secret')
    expect(await of('acme', '203.0.113.7')).toBe(await of('acme', '203.0.113.8'))
    expect(await of(null, '2001:db8::1')).toBe(await of(null, '2001:db8::2'))
    const reporters = await Promise.all([
      of('acme', ''),
      of('globex', ''),
      of(null, '203.0.113.7'),
      of(null, '203.0.113.8'),
      of(null, ''),
    ])
    expect(new Set(reporters).size).toBe(reporters.length)
    expect(reporters.join()).not.toMatch(/acme|203/)
    expect(await reporterOf({ voucher: null, address: '203.0.113.7' }, 'other')).not.toBe(
      reporters[2],
    )
  })
})
