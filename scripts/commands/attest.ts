/** `npm run attest -- key|sign|withdraw`: an operator's signed statements about where its dedicated nodes stand. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { AppError, toAppError } from '#shared/base/errors.ts'
import { AttestationStatement, signAttestation } from '#shared/place/evidence.ts'
import {
  createSigner,
  exportSigningKey,
  generateSigningKey,
  importSigningKey,
  type Signer,
} from '#shared/base/signature.ts'
import { findInstance } from '#scripts/stack/find-instance.ts'
import { callApi } from '#scripts/stack/operator.ts'

const USAGE = `npm run attest -- key --key FILE
npm run attest -- sign --key FILE --node NODE_ID --country DE [--days 90]
npm run attest -- withdraw --node NODE_ID

  key       makes the attester's key, into a new file that only you may read; it stays on this machine
  sign      states that the node stands in the country, and gives the statement to the instance
  --print   with sign: writes the statement and sends it nowhere
  --state   state folder of npm run serve, for its address and operator key
  --url     the instance; default: the one that npm start runs here. OPERATOR_KEY is read from the environment
The instance takes statements of the keys in its var ATTESTERS.`

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
  return parseArgs({ options: OPTIONS, allowPositionals: true })
}

async function main(): Promise<string> {
  const { values, positionals } = parseFlags()
  const [command] = positionals
  if (command === 'key' && values.key !== undefined) return makeKey(values.key)
  if (command === 'sign') return sign(values)
  if (command === 'withdraw' && values.node !== undefined) {
    const path = `/v1/operator/attestations/${encodeURIComponent(values.node)}`
    await callApi({ ...(await askedInstance(values)), method: 'DELETE', path })
    return `${values.node} is no longer attested.`
  }
  throw new AppError('invalid_request', USAGE)
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
    throw new AppError('invalid_request', USAGE)
  const signer = await createSigner(await importSigningKey(readFileSync(key, 'utf8')))
  const issuedAtMs = Date.now()
  const expiresAtMs = issuedAtMs + Math.round(Number(days) * 86_400_000)
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
  await callApi({ ...(await askedInstance(flags)), method: 'POST', path, body: attestation })
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

async function askedInstance(flags: Flags): Promise<{ url: string; key: string }> {
  const instance = await findInstance(flags)
  if (instance !== undefined) return instance
  throw new AppError(
    'invalid_request',
    'No instance: give --url and OPERATOR_KEY, or --state, or run npm start first.',
  )
}

try {
  console.log(await main())
} catch (error) {
  const { code, detail } = toAppError(error)
  console.error(code === 'internal' ? String(error) : detail)
  process.exitCode = 1
}
