/** The verifier as a command: what it says about each document, and its exit code. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { verifyDocument } from '#scripts/verify/document.ts'
import { runVerifier } from '#scripts/verify/run.ts'
import type { AuditBundle, BundledJob } from '#shared/audit/bundle.ts'
import { createRandom } from '#test/support/random.ts'
import { makeBundle, type MadeBundle } from '#test/support/storage/bundle.ts'

let dir: string
let made: MadeBundle
let pins: string
let good: string

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'littoral-verify-'))
  made = await makeBundle({ jobs: 3 })
  pins = await file('pins.json', made.pins)
  good = await file('good.json', made.bundle)
})
afterAll(async () => {
  await rm(dir, { recursive: true, force: true })
})

async function file(name: string, content: unknown): Promise<string> {
  const path = join(dir, name)
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

async function edited(name: string, change: (copy: AuditBundle) => unknown): Promise<string> {
  const copy = structuredClone(made.bundle)
  change(copy)
  return file(name, copy)
}

async function verify(...args: string[]): Promise<{ code: number; output: string }> {
  const lines: string[] = []
  const said = vi.spyOn(console, 'error').mockImplementation((text) => lines.push(String(text)))
  const code = await runVerifier(args, { instance: undefined, print: (text) => lines.push(text) })
  said.mockRestore()
  return { code, output: lines.join('\n') }
}

function documentOf(job: BundledJob | undefined, change: object): object {
  return { ...job, evidence: undefined, salt: null, refusal: null, settlesByMs: null, ...change }
}

const tampered = () =>
  edited('tampered.json', ({ jobs: [job] }) =>
    Object.assign(job?.receipt.receipt ?? {}, { units: 9 }),
  )
const short = () => edited('short.json', (copy) => copy.entries.splice(3, 1))

describe('a name that is neither a file nor a receipt id', () => {
  it.each([
    ['0x00', '0x00: not checked. 0x00 is neither a receipt id (0x and 64 hex digits) nor a file.'],
    ['nowhere.json', 'nowhere.json: not checked. nowhere.json does not exist.'],
    [tmpdir(), `${tmpdir()}: not checked. ${tmpdir()} is a folder.`],
  ])('is reported: %s', async (name, words) => {
    expect(await verify(name, '--pins', pins)).toEqual({ code: 2, output: words })
  })

  it('is reported for --pins, too', async () => {
    const { code, output } = await verify(good, '--pins', 'nowhere.json')
    expect([code, output]).toEqual([2, '--pins nowhere.json does not exist.'])
  })
})

const REFUSAL = { status: 403, code: 'forbidden', detail: 'no' }

describe('several documents', () => {
  it('are all checked, each with its own verdict, and the exit code is the worst', async () => {
    const [job] = made.bundle.jobs
    const own = await file('receipt.json', documentOf(job, { status: 'settled' }))
    const names = [own, await tampered(), good, await short()]
    const { code, output } = await verify(...names, '--pins', pins)
    expect(code).toBe(1)
    expect(output).toMatch(/receipt\.json: Everything holds/)
    expect(output).toMatch(/tampered\.json: NOT valid/)
    expect(output).toMatch(/good\.json: Everything holds/)
    expect(output).toMatch(/short\.json: No check fails .* 1 entry missing \(3\)/)
    expect((await verify(own, good, '--pins', pins)).code).toBe(0)
    expect((await verify(own, await short(), good, '--pins', pins)).code).toBe(3)
  })

  it.each([
    ['a file that is not there', async () => join(dir, 'nowhere.json'), 2, 'not checked'],
    ['an answer of the API', () => file('p.json', REFUSAL), 2, '403 forbidden'],
    ['something else', () => file('other.json', { hello: 1 }), 1, 'NOT valid'],
    ['no JSON', () => file('no.json', 'hello'), 1, 'NOT valid'],
    ['an empty file', () => file('empty.json', ''), 1, 'NOT valid'],
  ])('are all reported when one of them is %s', async (_what, name, exit, said) => {
    for (const order of [(a: string, b: string) => [a, b], (a: string, b: string) => [b, a]]) {
      const { code, output } = await verify(...order(good, await name()), '--pins', pins)
      expect(code).toBe(exit)
      expect(output).toContain(said)
      expect(output).toContain('good.json: Everything holds')
    }
  })

  it('of one log must agree: different signed pasts are a fork', async () => {
    const { heads } = made.pins
    expect(heads).toEqual([])
    const head = { origin: '', size: 5, root: `0x${'1'.repeat(64)}` }
    const origin = made.bundle.checkpoint.split('\n')[0] ?? ''
    const seen = await file('seen.json', { ...made.pins, heads: [{ ...head, origin }] })
    const { code, output } = await verify(good, '--pins', seen)
    expect(code).toBe(1)
    expect(output).toContain('the log begins with the 5 entries that were seen before')
    const written = join(dir, 'written.json')
    expect((await verify(good, '--pins', pins, '--write-pins', written)).code).toBe(0)
    expect((await verify(good, '--pins', written)).code).toBe(0)
  })
})

describe('a document with two readings', () => {
  it.each([
    ['"country":', 'place.country: appears twice'],
    ['"units":', 'units: appears twice'],
    ['"sequence":', 'sequence: appears twice'],
    ['"tenant":', 'tenant: appears twice'],
    ['"jobs":', 'jobs: appears twice'],
  ])('is refused with the path: %s', async (name, said) => {
    const text = JSON.stringify(made.bundle)
    const at = text.lastIndexOf(name)
    const other = name === '"jobs":' ? '[],' : '75,'
    const twice = await file('twice.json', `${text.slice(0, at)}${name}${other}${text.slice(at)}`)
    const { code, output } = await verify(twice, '--pins', pins)
    expect(code).toBe(1)
    expect(output).toContain(said)
  })

  it('is refused as pins, too', async () => {
    const text = JSON.stringify(made.pins).replace('"chainId":', '"chainId":1,"chainId":')
    const { code, output } = await verify(good, '--pins', await file('p2.json', text))
    expect(code).toBe(2)
    expect(output).toContain('domain.chainId: appears twice')
  })
})

describe('a file with one byte changed', () => {
  it('never passes, and never crashes the verifier', async () => {
    const text = JSON.stringify(made.bundle)
    const random = createRandom(20_261_130)
    let found = 0
    for (let round = 0; round < 400; round += 1) {
      const at = random.below(text.length)
      const byte = String.fromCharCode(text.charCodeAt(at) ^ (1 << random.below(7)))
      const changed = text.slice(0, at) + byte + text.slice(at + 1)
      if (isSameReading(changed)) continue
      found += 1
      const source = { name: 'changed.json', open: () => [changed] }
      const { verdict } = await verifyDocument(source, made.trust, { line: () => {} })
      expect(verdict.result, `${at}: ${changed.slice(at - 30, at + 30)}`).not.toBe('holds')
    }
    expect(found).toBeGreaterThan(350)
  })

  /** Ignores the time by which a job should settle: it is not proved. */
  function isSameReading(text: string): boolean {
    try {
      const changed = { ...(JSON.parse(text) as AuditBundle), settlesWithinMs: 0 }
      return isDeepStrictEqual(changed, { ...made.bundle, settlesWithinMs: 0 })
    } catch {
      return false
    }
  }
})

describe('--within', () => {
  it('says that every job ran there, with each policy’s text and countries', async () => {
    const { code, output } = await verify(good, '--pins', pins, '--within', 'EU,CH')
    expect(code).toBe(0)
    expect(output).toContain('All 3 jobs that are shown ran within EU, CH.')
    expect(output).toContain('policy eu-only@1: 3 jobs, in DE 3')
    expect(output).toContain('"compute":{"allow":["EU"]')
    expect(output).toContain('lets jobs be computed in 2')
  })

  it('fails for a job outside, and names it', async () => {
    const { code, output } = await verify(good, '--pins', pins, '--within', 'FR,CH')
    expect(code).toBe(1)
    expect(output).toContain('3 jobs ran outside FR, CH, 0 inside.')
    const { jobId } = made.bundle.jobs[0]?.receipt.receipt.ticket ?? {}
    expect(output).toMatch(new RegExp(`place.within .*DE is outside.*\\[${jobId}\\]`))
  })

  it('does not pass when something is not shown', async () => {
    const { code, output } = await verify(await short(), '--pins', pins, '--within', 'EU')
    expect(code).toBe(3)
    expect(output).toContain('1 entry missing')
  })

  it('refuses unknown regions', async () => {
    const { code, output } = await verify(good, '--pins', pins, '--within', 'EU,Europe')
    expect(code).toBe(2)
    expect(output).toContain('--within: "Europe" is neither')
  })
})

describe('a deployment without a chain', () => {
  it('is checked by its log’s key, except for settlement', async () => {
    const { bundle, pins: own } = await makeBundle({ jobs: 2, hasChain: false })
    const path = await file('chainless.json', bundle)
    const key = own.logKeys[0] ?? ''
    const { code, output } = await verify(path, '--log-key', key)
    expect(output).toContain('Everything holds')
    expect(output).toContain('Settlement is not part of this deployment.')
    expect(code).toBe(0)
    expect((await verify(path, '--log-key', `0x${'1'.repeat(64)}`)).code).toBe(1)
    expect((await verify(path, '--pins', pins)).code).toBe(1)
    const moved = structuredClone(bundle)
    Object.assign(moved.jobs[0]?.receipt.receipt.ticket.place ?? {}, { country: 0 })
    expect((await verify(await file('moved.json', moved), '--log-key', key)).code).toBe(1)
  })

  it('is not assumed when the user leaves the chain out', async () => {
    const key = made.pins.logKeys[0] ?? ''
    const { code, output } = await verify(good, '--log-key', key)
    expect(code).toBe(3)
    expect(output).toContain('no chain was given')
    const without = await edited('without.json', (copy) => {
      copy.domain = null
      copy.batches = []
      for (const job of copy.jobs) job.settlement = null
    })
    expect((await verify(without, '--log-key', key)).code).toBe(1)
  })

  it('does not prove who signed a single receipt', async () => {
    const { bundle, pins: own } = await makeBundle({ jobs: 1, hasChain: false })
    const [job] = bundle.jobs
    const pending = { status: 'pending', settlement: null }
    const path = await file('own.json', documentOf(job, pending))
    const { x, y } = job?.receipt.hubKey ?? {}
    const key = own.logKeys[0] ?? ''
    expect((await verify(path, '--log-key', key)).code).toBe(3)
    expect((await verify(path, '--log-key', key, '--hub-key', `${x}.${y}`)).code).toBe(0)
  })
})
