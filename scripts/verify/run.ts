/** The verifier as a command: prints a verdict for every document and exits with the worst. */
import { writeFile } from 'node:fs/promises'
import type { BundledJob } from '#shared/audit/bundle.ts'
import type { LogHead } from '#shared/audit/checkpoint.ts'
import { AppError, errorCode, toAppError } from '#shared/base/errors.ts'
import { fileFault } from '#shared/base/file-fault.ts'
import { countryCode } from '#shared/law/region.ts'
import type { PolicySum } from '#shared/verify/countries.ts'
import type { BundleLine } from '#shared/verify/line.ts'
import { effectiveTrust } from '#shared/law/explain.ts'
import type { BundleTrust } from '#shared/verify/trust.ts'
import type { VerdictResult } from '#shared/verify/verdict.ts'
import type { DevInstance } from '#scripts/stack/dev-instance.ts'
import { formatLine } from '#scripts/base/format-line.ts'
import { readArguments, readTrust, type Values } from './arguments.ts'
import { openSource, readSignedHead, verifyDocument, type Source } from './document.ts'
import { createPinner, type Pins } from './pins.ts'

const EXIT = { holds: 0, fails: 1, usage: 2, incomplete: 3 } as const satisfies Record<
  VerdictResult | 'usage',
  number
>
type Exit = keyof typeof EXIT
/** From good to bad. */
const ORDER: readonly Exit[] = ['holds', 'incomplete', 'usage', 'fails']

type Print = (line: string) => void

/** @param instance the instance running in this working copy, if any @returns the exit code */
export async function runVerifier(
  args: readonly string[],
  { instance, print }: { readonly instance: DevInstance | undefined; readonly print: Print },
): Promise<number> {
  try {
    const { values, positionals } = readArguments(args)
    if (positionals.length === 0)
      throw new AppError('invalid_request', 'Name files or receipt ids; see --help.')
    const trust = await readTrust(values, instance)
    return await checkAll(positionals, { values, instance, trust, print })
  } catch (error) {
    // A fault that the user can mend is one line; anything else is our fault.
    console.error(errorCode(error) === undefined ? error : toAppError(error).detail)
    return EXIT.usage
  }
}

interface Context {
  readonly values: Values
  readonly instance: DevInstance | undefined
  readonly trust: BundleTrust
  readonly print: Print
}

async function checkAll(
  names: readonly string[],
  { values, instance, trust, print }: Context,
): Promise<number> {
  const api = { url: values.url ?? instance?.url, key: values.key ?? instance?.apiKey }
  const exits: Exit[] = []
  const pinner = createPinner(trust)
  const attempt = async <T>(name: string, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work()
    } catch (error) {
      print(`${name}: not checked. ${toAppError(error).detail}`)
      if (errorCode(error) === undefined) console.error(error)
      exits.push('usage')
      return undefined
    }
  }
  const sources: Source[] = []
  for (const name of names) {
    const source = await attempt(name, () => openSource(name, api))
    if (source !== undefined) sources.push(source)
  }
  const heads: LogHead[] = []
  if (sources.length > 1)
    for (const source of sources)
      heads.push(...[await readSignedHead(source, trust)].flatMap((head) => head ?? []))
  for (const source of sources) {
    const seenHeads = [...(trust.seenHeads ?? []), ...heads]
    const outcome = await attempt(source.name, () =>
      verifyDocument(
        source,
        { ...trust, seenHeads },
        createSink(values.verbose, print, (job) => pinner.job(job)),
      ),
    )
    if (outcome === undefined) continue
    const { verdict } = outcome
    heads.push(...(outcome.heads ?? []))
    for (const policy of outcome.policies ?? [])
      printPolicy(policy, values.within !== undefined, print)
    print(`${source.name}: ${verdict.title}`)
    for (const note of verdict.notes) print(`  ${note}`)
    exits.push(verdict.result)
    if (verdict.result !== 'fails') for (const head of outcome.heads ?? []) pinner.head(head)
  }
  if (values['write-pins'] !== undefined) await writePins(values['write-pins'], await pinner.pins())
  return EXIT[ORDER.findLast((exit) => exits.includes(exit)) ?? 'usage']
}

async function writePins(path: string, pins: Pins): Promise<void> {
  await writeFile(path, `${JSON.stringify(pins, null, 2)}\n`).catch((cause: unknown) => {
    throw new AppError('invalid_request', `--write-pins ${path} ${fileFault(cause)}.`, { cause })
  })
}

/** Prints a line per job, and everything that does not pass; keeps nothing. */
function createSink(verbose: boolean, print: Print, pin: (job: BundledJob) => void) {
  return {
    line(said: BundleLine): void {
      const { result, about } = said
      const isShown = result === 'failed' || result === 'missing' || !about.startsWith('job_')
      if (verbose || isShown) print(`${formatLine(said)}  [${about}]`)
    },
    job(job: BundledJob, lines: readonly BundleLine[]): void {
      pin(job)
      print(summarise(job, lines))
    },
  }
}

function summarise({ receipt, settlement }: BundledJob, lines: readonly BundleLine[]): string {
  const { policy } = receipt
  const { jobId, nodeId, place } = receipt.receipt.ticket
  const mark = lines.some(({ result }) => result === 'failed') ? '✗' : '✓'
  const where = `${countryCode(place.country)} (${place.evidence} by ${place.source}, ${place.trust} node)`
  const isAbsent = lines.some(
    ({ result, name }) => name === 'settlement.status' && result === 'absent',
  )
  const waits = isAbsent ? 'no chain' : 'pending'
  const batch = settlement === null ? waits : `batch ${settlement.batchId}`
  return `${mark} ${jobId}  policy ${policy.id}@${policy.version}  ${where}  node ${nodeId}  ${batch}`
}

function printPolicy(
  { name, text, countries, jobs }: PolicySum,
  isAsked: boolean,
  print: Print,
): void {
  const total = [...jobs.values()].reduce((sum, count) => sum + count, 0)
  const places = [...jobs].map(([country, count]) => `${country} ${count}`).join(', ')
  print(`policy ${name}: ${total} jobs${places === '' ? '' : `, in ${places}`}`)
  if (!isAsked) return
  print(`  lets jobs be computed in ${countries.length} countries: ${countries.join(' ')}`)
  if (text !== null) print(`  least trusted kind of node: ${effectiveTrust(text)}`)
  print(`  text: ${text === null ? 'not in the bundle' : JSON.stringify(text)}`)
}
