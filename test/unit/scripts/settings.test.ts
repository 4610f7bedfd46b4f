/** The report of a deployment's settings. */
import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { repositoryPath } from '#scripts/base/paths.ts'
import { reportSettings, SETTINGS } from '#scripts/base/settings.ts'

const report = (...given: string[]) =>
  reportSettings(({ name }) => (given.includes(name) ? 'environment' : undefined))
const REQUIRED = ['OPERATOR_KEY', 'ADMISSION_SECRET', 'HUB_REGIONS', 'JURISDICTION']

describe('the settings of a deployment', () => {
  it('are reported by name while they are missing', () => {
    expect(report().missing).toEqual(REQUIRED)
    expect(report(...REQUIRED).missing).toEqual([])
    expect(report(...REQUIRED).lines.join('\n')).not.toContain('MISSING')
  })

  it('need all settings of a chain, or none', () => {
    expect(report(...REQUIRED, 'CHAIN_RPC').missing).toEqual([
      'CHAIN_ID',
      'SETTLEMENT_ADDRESS',
      'POSTER_KEY',
    ])
    expect(report(...REQUIRED, 'POSTER_KEY').missing).toEqual([])
  })

  it('are exactly those that wrangler.toml sets or names', async () => {
    const toml = await readFile(repositoryPath('wrangler.toml'), 'utf8')
    const [, section = ''] = toml.split('[vars]')
    const vars = [...section.matchAll(/^([A-Z_]+) =/gm)].map(([, name]) => name)
    const [, secrets = ''] = /wrangler secret put`: ([A-Z_, ]+)\./.exec(section) ?? []
    const named = [...vars, ...secrets.split(', ')]
    expect(new Set<string | undefined>(SETTINGS.map(({ name }) => name))).toEqual(new Set(named))
    expect(named).toHaveLength(SETTINGS.length)
  })
})
