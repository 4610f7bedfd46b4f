/** What people type behind a command: each number is one, or it is refused by name. */
import { execFile } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readArguments, readNumber } from '#scripts/base/arguments.ts'
import { repositoryPath } from '#scripts/base/paths.ts'

describe('a number of the command line', () => {
  it.each(['', ' ', 'lots', '5,00', '1e9', '0x10', '-1', 'NaN', 'Infinity', '1.5', '1_000'])(
    'is not %j, which is refused with its option',
    (text) => {
      expect(() => readNumber('jobs', text)).toThrow(`--jobs ${text} is not a whole number`)
    },
  )

  it('may have parts where they mean something, and keeps to its range', () => {
    expect(readNumber('days', '2.5', { isWhole: false })).toBe(2.5)
    expect(readNumber('port', '65535', { most: 65_535 })).toBe(65_535)
    expect(() => readNumber('port', '65536', { most: 65_535 })).toThrow('0 to 65535')
  })
})

describe('an option that does not exist', () => {
  it('is refused in one line', () => {
    expect(() => readArguments({ args: ['--nonsense'], options: {} })).toThrow(
      /^invalid_request: Unknown option '--nonsense'; --help says more\.$/,
    )
  })
})

/** Where each command's own parser has its options. */
const PARSERS: Readonly<Record<string, string>> = {
  start: 'scripts/commands/start.ts',
  bench: 'bench/main.ts',
  node: 'local-node/config.ts',
  mqtt: 'bridge/mqtt/config.ts',
  models: 'scripts/commands/models.ts',
  soak: 'scripts/commands/soak.ts',
  serve: 'scripts/commands/serve.ts',
  deploy: 'scripts/commands/deploy.ts',
  keys: 'scripts/commands/keys.ts',
  attest: 'scripts/commands/attest.ts',
  verify: 'scripts/verify/arguments.ts',
}

/** Members of the table of options, whether parseArgs or zod reads it. */
function optionsOf(path: string): string[] {
  const source = readFileSync(repositoryPath(path), 'utf8')
  const [table = ''] =
    /^const Options = z\.strictObject\(\{.*?^\}\)/ms.exec(source) ??
    /^ *(?:const OPTIONS = |options: )\{\n(?! *options).*?^ *\}/ms.exec(source) ??
    []
  return [...table.matchAll(/^\s+'?([a-z][a-z-]*)'?: (?!\{\n? *options)/gm)]
    .map(([, name = '']) => name)
    .filter((name) => name !== 'options')
}

describe('the usage of a command', () => {
  const usageOf = (name: string) =>
    readFileSync(repositoryPath(`scripts/usage/${name}.txt`), 'utf8')

  it.each(Object.entries(PARSERS))(
    'of %s names each option that there is, and no other',
    (name, path) => {
      const told = new Set(usageOf(name).match(/--[a-z][a-z-]*/g))
      told.delete('--no-system')
      expect([...told].toSorted()).toEqual(
        optionsOf(path)
          .map((option) => `--${option}`)
          .toSorted(),
      )
    },
  )

  it('begins with how each command of npm is called', () => {
    const { scripts } = JSON.parse(readFileSync(repositoryPath('package.json'), 'utf8')) as {
      scripts: Record<string, string>
    }
    expect(readdirSync(repositoryPath('scripts/usage')).toSorted()).toEqual(
      Object.keys(scripts)
        .map((name) => `${name}.txt`)
        .toSorted(),
    )
    for (const name of Object.keys(scripts))
      expect(usageOf(name)).toMatch(new RegExp(`^npm (run )?${name}`))
  })
})

describe('npm run keys', () => {
  const asked: { method: string | undefined; body: string }[] = []
  /** Stands for an instance: what reaches it was let through by the command. */
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (text: Buffer) => (body += text.toString()))
    request.on('end', () => {
      asked.push({ method: request.method, body })
      const tenant = 'demo'
      const quota = {
        tenant,
        requestsPerMinute: 1,
        spendMicroUsdPerDay: 1,
        requestsThisMinute: 0,
        spentMicroUsdToday: 0,
      }
      const never = { expiresAtMs: null, revokedAtMs: null, lastUsedAtMs: null }
      const key = { scopes: ['infer'], networks: [], createdAtMs: 1, ...never }
      const keys = [
        { ...key, id: 'key_demo_1', name: 'backend' },
        { ...key, id: 'key_demo_2', name: '' },
      ]
      response.end(
        JSON.stringify(request.url?.includes('quotas') === true ? quota : { tenant, keys }),
      )
    })
  })
  beforeAll(() => new Promise<void>((done) => server.listen(0, '127.0.0.1', done)))
  afterAll(() => new Promise((done) => server.close(done)))

  const keys = (...args: string[]) => {
    asked.length = 0
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const command = [repositoryPath('scripts/commands/keys.ts'), ...args, '--url', url]
    const env = { ...process.env, OPERATOR_KEY: 'x' }
    return new Promise<{ code: number; stdout: string; stderr: string }>((done) =>
      execFile(process.execPath, command, { env }, (error, stdout, stderr) =>
        done({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
      ),
    )
  }
  const quota = (...args: string[]) => keys('quota', '--tenant', 'demo', ...args)

  it.each([
    [['--spend-per-day', '5,00'], '--spend-per-day 5,00 '],
    [['--spend-per-day', 'lots'], '--spend-per-day lots '],
    [['--spend-per-day='], '--spend-per-day  '],
    [['--requests-per-minute', 'abc'], '--requests-per-minute abc '],
    [['--requests-per-minute', '0'], '--requests-per-minute 0 '],
  ])('refuses %j by name and changes nothing', async (args, words) => {
    const { code, stderr } = await quota(...args)
    expect([code, stderr.split('\n').length, asked]).toEqual([2, 2, []])
    expect(stderr).toContain(words)
  })

  it('refuses a date that means different days to different people', async () => {
    const { code, stderr } = await keys('create', '--tenant', 'demo', '--expires', '01/02/2027')
    expect([code, asked]).toEqual([2, []])
    expect(stderr).toContain('--expires 01/02/2027 ')
  })

  it('sends only the limit that it was given', async () => {
    expect((await quota('--requests-per-minute', '1000')).code).toBe(0)
    expect(asked).toEqual([{ method: 'PUT', body: '{"requestsPerMinute":1000}' }])
    await quota('--spend-per-day', '2.5')
    expect(asked).toEqual([{ method: 'PUT', body: '{"spendMicroUsdPerDay":2500000}' }])
    await quota('--spend-per-day', 'none')
    expect(asked).toEqual([{ method: 'PUT', body: '{"spendMicroUsdPerDay":"none"}' }])
  })

  it('lists keys under a heading, and shows that one has no name', async () => {
    const { stdout } = await keys('list', '--tenant', 'demo')
    expect(stdout.trimEnd().split('\n')).toEqual([
      'id          scopes  state  last used  name',
      'key_demo_1  infer   live   never      backend',
      'key_demo_2  infer   live   never      -',
    ])
  })
})
