import { describe, expect, it } from 'vitest'
import { parseOptions } from '#local-node/config.ts'

const GOOD = ['--hub', 'https://edge.example', '--region', 'DE']

describe('the options of a local node', () => {
  it('require a hub and a region, and have defaults for the rest', () => {
    expect(parseOptions(GOOD, {})).toMatchObject({ region: 'DE', device: 'auto', 'max-jobs': 2 })
  })

  it('load all models, some of them, or none', () => {
    const read = (...more: string[]) => parseOptions([...GOOD, ...more], {}).models
    expect(read()).toContain('pp-ocr-rec')
    expect(read('--models', 'none')).toEqual([])
    expect(read('--models', 'pp-ocr-rec,littoral-chat-2m')).toEqual([
      'pp-ocr-rec',
      'littoral-chat-2m',
    ])
  })

  it.each([
    ['an unknown option', [...GOOD, '--gpu', 'all'], '--gpu'],
    ['an unknown country', ['--hub', 'https://edge.example', '--region', 'ZZ'], 'ZZ'],
    ['a hub that is no web address', ['--hub', 'edge', '--region', 'DE'], '--hub edge'],
    ['no region', ['--hub', 'https://edge.example'], '--region (missing)'],
    ['an unknown model', [...GOOD, '--models', 'gpt-5'], 'there is no model "gpt-5"'],
    ['no memory for models', [...GOOD, '--model-memory', '0'], '--model-memory 0'],
    [
      'files served at an address that is no multiaddr',
      [...GOOD, '--serve-files', '4011'],
      '--serve-files 4011',
    ],
    ['an unknown level of the log', [...GOOD, '--log', 'all'], '--log all'],
    ['more jobs than a node may have', [...GOOD, '--max-jobs', '99'], '--max-jobs 99'],
  ])('are refused by name and value, in one line that refers to --help: %s', (_, argv, words) => {
    expect(() => parseOptions(argv, {})).toThrow(words)
    expect(() => parseOptions(argv, {})).toThrow(/^[^\n]*; npm run node -- --help says more$/)
  })
})
