import fc from 'fast-check'
import countries from 'i18n-iso-countries'
import { describe, expect, it } from 'vitest'
import { CURRENT_REGIONS, REGION_LISTS } from '#shared/law/region-groups.ts'
import {
  COUNTRIES,
  countryBit,
  countryCode,
  countrySet,
  groupCountries,
  groupNames,
  hasCountry,
  intersect,
  isSubset,
  listCountries,
  onlyCountry,
  UNKNOWN_COUNTRY,
  without,
} from '#shared/law/region.ts'

const codes = fc.uniqueArray(fc.constantFrom(...COUNTRIES), { maxLength: 40 })

describe('the country table', () => {
  it('has the 249 codes of ISO 3166-1, each once, with a bit below the unknown one', () => {
    expect(new Set(COUNTRIES).size).toBe(249)
    expect(COUNTRIES.every((code) => countryCode(countryBit(code)) === code)).toBe(true)
    expect(COUNTRIES.length).toBeLessThan(UNKNOWN_COUNTRY)
  })

  it('is the table of the ISO 3166 library: the same codes, each with a name', () => {
    // The library also names Kosovo, whose code XK is not in ISO 3166-1.
    const known = Object.keys(countries.getAlpha2Codes()).filter((code) => code !== 'XK')
    expect(COUNTRIES.toSorted()).toEqual(known.toSorted())
    for (const code of COUNTRIES) expect(countries.getName(code, 'en')).toBeTruthy()
  })

  it('gives Tor, unknown and made-up codes no country', () => {
    for (const code of ['T1', 'XX', 'EU', 'de', '', undefined]) {
      expect(countryBit(code)).toBe(UNKNOWN_COUNTRY)
    }
  })
})

describe('the dated lists of groups', () => {
  it('know the 27 members of the EU, the 30 of the EEA, and that adequacy grew by Brazil in 2026', () => {
    expect(groupCountries('EU')).toHaveLength(27)
    expect(groupCountries('EEA')).toHaveLength(30)
    expect(isSubset(countrySet(['EU']), countrySet(['EEA']))).toBe(true)
    expect(isSubset(countrySet(['EEA']), countrySet(['ADEQUATE']))).toBe(true)
    expect(hasCountry(countrySet(['ADEQUATE']), countryBit('US'))).toBe(false)
    const [older, newer] = [countrySet(['ADEQUATE'], 20251231), countrySet(['ADEQUATE'], 20261101)]
    expect(listCountries(without(newer, older))).toEqual(['BR'])
    expect(isSubset(older, newer)).toBe(true)
  })

  it('are in the order of their dates, each with sources, and the newest is the current one', () => {
    const versions = REGION_LISTS.map(({ version }) => version)
    expect(versions).toEqual(versions.toSorted((a, b) => a - b))
    expect(versions.at(-1)).toBe(CURRENT_REGIONS)
    for (const { version, groups, countryCount } of REGION_LISTS) {
      expect(groupCountries('WORLD', version)).toHaveLength(countryCount)
      for (const [name, { countries: codes, source }] of Object.entries(groups)) {
        expect(source).toMatch(/^https:/)
        expect(new Set(codes).size, name).toBe(codes.length)
        expect(codes.filter((code) => !COUNTRIES.includes(code))).toEqual([])
        expect(COUNTRIES.includes(name), `${name} would mean a country and a group`).toBe(false)
      }
    }
  })

  // Policies were compiled with these lists: an edit would break what was proved under them.
  it('that were published never change', () => {
    const prints = REGION_LISTS.map(({ version, countryCount }) => [
      version,
      countryCount,
      ...groupNames(version).map((name) => `${name} ${countrySet([name], version)}`),
    ])
    expect(prints).toMatchInlineSnapshot(`
      [
        [
          20251231,
          249,
          "EU 0x000000000000029010840020010000700000202a0100042885c0000000280800",
          "EEA 0x000000000000029010840060010000710000302a0100042885c0000000280800",
          "ADEQUATE 0x00000200000002901084046001000071020270ea0101162885c0040000280a01",
          "US_ALL 0x0000818000000000002000000010000000000000080000000000000000000400",
          "WORLD 0x01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        ],
        [
          20261101,
          249,
          "EU 0x000000000000029010840020010000700000202a0100042885c0000000280800",
          "EEA 0x000000000000029010840060010000710000302a0100042885c0000000280800",
          "ADEQUATE 0x00000200000002901084046001000071020270ea0101162885c0040040280a01",
          "US_ALL 0x0000818000000000002000000010000000000000080000000000000000000400",
          "WORLD 0x01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        ],
      ]
    `)
  })
})

describe('a country set', () => {
  it('holds exactly what was put in', () => {
    fc.assert(
      fc.property(codes, (list) => {
        expect(listCountries(countrySet(list)).toSorted()).toEqual(list.toSorted())
      }),
    )
  })

  it('intersects and subtracts as sets do', () => {
    fc.assert(
      fc.property(codes, codes, (a, b) => {
        const [left, right] = [countrySet(a), countrySet(b)]
        expect(listCountries(intersect(left, right)).toSorted()).toEqual(
          a.filter((c) => b.includes(c)).toSorted(),
        )
        expect(listCountries(without(left, right)).toSorted()).toEqual(
          a.filter((c) => !b.includes(c)).toSorted(),
        )
        expect(isSubset(left, right)).toBe(a.every((c) => b.includes(c)))
      }),
    )
  })

  it('of one country holds that one, and of an unknown place none', () => {
    for (const code of COUNTRIES) {
      expect(listCountries(onlyCountry(countryBit(code)))).toEqual([code])
    }
    for (const bit of [-1, 249, UNKNOWN_COUNTRY])
      expect(listCountries(onlyCountry(bit))).toEqual([])
  })

  it('contains no place outside the table', () => {
    const world = countrySet(['WORLD'])
    for (const bit of [-1, 249, 254, 255, 256, 1000]) expect(hasCountry(world, bit)).toBe(false)
  })
})
