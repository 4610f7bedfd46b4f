import { describe, expect, it } from 'vitest'
import { COUNTRIES } from '#shared/law/region.ts'
import { COUNTRY_POINTS } from '../../../console/compliance/page/country-points.ts'
import {
  countryName,
  placesLabel,
  nameList,
  regionCode,
} from '../../../console/compliance/page/countries.ts'
import { fieldOf, valueAt, withValue } from '../../../console/compliance/policies/policy-fields.ts'

describe('countries', () => {
  it('have a name and a place on the map, each of them', () => {
    const nameless = COUNTRIES.filter((code) => countryName(code) === code)
    expect(nameless).toEqual([])
    expect(Object.keys(COUNTRY_POINTS)).toEqual(COUNTRIES)
  })

  it.each([
    ['Germany', 'DE'],
    ['germany (DE)', 'DE'],
    [' de ', 'DE'],
    ['European Economic Area (EEA)', 'EEA'],
    ['united states', 'US'],
    ['Mars', 'MARS'],
  ])('%s is written %s', (text, code) => {
    expect(regionCode(text)).toBe(code)
  })

  it('are named in full, as a group, or by how many more there are', () => {
    expect(nameList([])).toBe('no country')
    expect(nameList(['FR', 'DE'])).toBe('France, Germany')
    expect(nameList(['FR', 'DE', 'AT'], 2)).toBe('Austria, France and 1 more')
  })
})

describe('places of a policy', () => {
  it('keep the words that they were written in', () => {
    expect(placesLabel({ allow: ['EU', 'CH'], deny: ['IE'] })).toBe(
      'European Union (EU), Switzerland (CH) except Ireland (IE)',
    )
  })
})

describe('a draft', () => {
  it('is read and changed at JSON pointers, the rest of it untouched', () => {
    const draft = { compute: { allow: ['EU'] }, x: 1 }
    const next = withValue(draft, '/compute/deny', ['HU'])
    expect(next).toEqual({ compute: { allow: ['EU'], deny: ['HU'] }, x: 1 })
    expect(valueAt(next, '/compute/deny/0')).toBe('HU')
    expect(valueAt(draft, '/compute/deny')).toBeUndefined()
    expect(withValue('no object', '/a/b', 1)).toEqual({ a: { b: 1 } })
  })

  it('has its faults at the field that holds them', () => {
    expect(fieldOf('/compute/allow/3')?.pointer).toBe('/compute/allow')
    expect(fieldOf('/compute/allowance')).toBeUndefined()
    expect(fieldOf('/id')).toBeUndefined()
  })
})
