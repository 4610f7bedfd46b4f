/** `npm run attest -- key|sign|withdraw`: an operator's signed statements about where its dedicated nodes stand. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { AppError } from '#shared/base/errors.ts'
import { fileFault } from '#shared/base/file-fault.ts'
import { AttestationStatement, signAttestation } from '#shared/place/evidence.ts'
import {
  createSigner,
  exportSigningKey,
  generateSigningKey,
  importSigningKey,
  type Signer,
} from '#shared/base/signature.ts'
import { readArguments, readNumber, runCommand } from '#scripts/base/arguments.ts'
import { findInstance } from '#scripts/stack/find-instance.ts'
import { callApi } from '#scripts/stack/operator.ts'

const OPTIONS = {
  key: { type: 'string' },
  node: { type: 'string' },
  country: { type: 'string' },
  days: { type: 'string', default: '90' },
  print: { type: 'boolean', default: false },
  url: { type: 'string' },
  state: { type: 'string' },
} as const

type Flags = ReturnType<typeof parseFlags>['values']

function parseFlags() {
  return readArguments({ options: OPTIONS, allowPositionals: true })
}

async function main(): Promise<number> {
  console.log(await act())
  return 0
}

async function act(): Promise<string> {
  const { values, positionals } = parseFlags()
  const [command] = positionals
  if (command === 'key' && values.key !== undefined) return makeKey(values.key)
  if (command === 'sign') return sign(values)
  if (command === 'withdraw' && values.node !== undefined) {
    const path = `/v1/operator/attestations/${encodeURIComponent(values.node)}`
    await callApi({ ...(await findInstance(values)), method: 'DELETE', path })
    return `${values.node} is no longer attested.`
  }
  throw usage('Do what? key --key FILE, sign, or withdraw --node NODE_ID')
}

function usage(what: string): AppError {
  return new AppError('invalid_request', `${what}; npm run attest -- --help says more.`)
}

async function makeKey(path: string): Promise<string> {
  if (existsSync(path)) throw new AppError('invalid_request', `${path} exists already.`)
  const keys = await generateSigningKey(true)
  writeFileSync(path, await exportSigningKey(keys), { mode: 0o600, flag: 'wx' })
  return `Written: ${path}. Add to ATTESTERS: ${nameOf(await createSigner(keys))}`
}

async function sign(flags: Flags): Promise<string> {
  const { key, node, country, days } = flags
  if (key === undefined || node === undefined || country === undefined)
    throw usage('To sign give --key, --node and --country')
  const signer = await createSigner(await importSigningKey(readKeyFile(key)))
  const issuedAtMs = Date.now()
  const expiresAtMs =
    issuedAtMs + Math.round(readNumber('days', days, { isWhole: false }) * 86_400_000)
  const statement = parseStatement({
    version: 1,
    nodeId: node,
    country,
    issuedAtMs,
    expiresAtMs,
  })
  const attestation = await signAttestation(statement, signer)
  if (flags.print) return JSON.stringify(attestation)
  const path = '/v1/operator/attestations'
  await callApi({ ...(await findInstance(flags)), method: 'POST', path, body: attestation })
  return `${node} is attested in ${country} until ${new Date(expiresAtMs).toISOString()}, by ${nameOf(signer)}.`
}

function parseStatement(input: unknown): AttestationStatement {
  const statement = AttestationStatement.safeParse(input)
  if (statement.success) return statement.data
  const faults = statement.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
  throw new AppError('invalid_request', `Nothing is signed. ${faults.join('; ')}.`)
}

function nameOf({ publicKey: { x, y } }: Signer): string {
  return `${x}.${y}`
}

function readKeyFile(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new AppError('invalid_request', `--key ${path} ${fileFault(cause)}.`, { cause })
  }
}

await runCommand(main)
