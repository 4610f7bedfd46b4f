import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  COUNTRIES,
  countryBit,
  countryCode,
  countrySet,
  GROUPS,
  hasCountry,
  intersect,
  isSubset,
  listCountries,
  UNKNOWN_COUNTRY,
  without,
} from '#shared/region.ts'

const codes = fc.uniqueArray(fc.constantFrom(...COUNTRIES), { maxLength: 40 })

describe('the country table', () => {
  it('has the 249 codes of ISO 3166-1, each once, with a bit below the unknown one', () => {
    expect(new Set(COUNTRIES).size).toBe(249)
    expect(COUNTRIES.every((code) => countryCode(countryBit(code)) === code)).toBe(true)
    expect(COUNTRIES.length).toBeLessThan(UNKNOWN_COUNTRY)
  })

  it('knows the 27 members of the EU and the 30 of the EEA', () => {
    expect(GROUPS.EU).toHaveLength(27)
    expect(GROUPS.EEA).toHaveLength(30)
    expect(isSubset(countrySet(['EU']), countrySet(['EEA']))).toBe(true)
    expect(isSubset(countrySet(['EEA']), countrySet(['ADEQUATE']))).toBe(true)
    expect(hasCountry(countrySet(['ADEQUATE']), countryBit('US'))).toBe(false)
  })

  it('gives Tor, unknown and made-up codes no country', () => {
    for (const code of ['T1', 'XX', 'EU', 'de', '', undefined]) {
      expect(countryBit(code)).toBe(UNKNOWN_COUNTRY)
    }
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

  it('contains no place outside the table', () => {
    const world = countrySet(['WORLD'])
    for (const bit of [-1, 249, 254, 255, 256, 1000]) expect(hasCountry(world, bit)).toBe(false)
  })
})
