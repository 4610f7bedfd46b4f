/** `npm run attest -- key|sign|withdraw`: signs where an operator's dedicated nodes stand. */
import { existsSync, writeFileSync } from 'node:fs'
import { AppError } from '#shared/base/errors.ts'
import { AttestationStatement, signAttestation } from '#shared/place/evidence.ts'
import {
  createSigner,
  exportSigningKey,
  generateSigningKey,
  type Signer,
} from '#shared/proof/signature.ts'
import { flag, need, number, readCommands, runCommand, text } from '#scripts/base/arguments.ts'
import { readSigner } from '#scripts/stack/read-signer.ts'
import { findInstance } from '#scripts/stack/find-instance.ts'
import { callApi } from '#scripts/stack/operator.ts'

const OPTIONS = {
  key: text(),
  node: text(),
  country: text(),
  days: number(90, { isWhole: false }),
  print: flag,
  url: text(),
  state: text(),
}
const COMMANDS = { key: [], sign: [], withdraw: [] }
const DAY_MS = 86_400_000

const { values: flags, command } = readCommands(OPTIONS, COMMANDS)
await runCommand(async () => {
  console.log(await act())
  return 0
})

async function act(): Promise<string> {
  if (command === 'key') return makeKey(need('key', flags.key))
  if (command === 'sign') return sign()
  const node = need('node', flags.node)
  await callOperator('DELETE', `/v1/operator/attestations/${encodeURIComponent(node)}`)
  return `${node} is no longer attested.`
}

async function callOperator(method: string, path: string, body?: unknown): Promise<void> {
  await callApi({ ...(await findInstance(flags)), method, path, body })
}

async function makeKey(path: string): Promise<string> {
  if (existsSync(path)) throw new AppError('invalid_request', `${path} exists already.`)
  const keys = await generateSigningKey(true)
  writeFileSync(path, await exportSigningKey(keys), { mode: 0o600, flag: 'wx' })
  return `Written: ${path}. Add to ATTESTERS: ${nameOf(await createSigner(keys))}`
}

async function sign(): Promise<string> {
  const node = need('node', flags.node)
  const country = need('country', flags.country)
  const signer = await readSigner(need('key', flags.key))
  const issuedAtMs = Date.now()
  const expiresAtMs = issuedAtMs + Math.round(flags.days * DAY_MS)
  const statement = parseStatement({ version: 1, nodeId: node, country, issuedAtMs, expiresAtMs })
  const attestation = await signAttestation(statement, signer)
  if (flags.print) return JSON.stringify(attestation)
  await callOperator('POST', '/v1/operator/attestations', attestation)
  return `${node} is attested in ${country} until ${new Date(expiresAtMs).toISOString()}, by ${nameOf(signer)}.`
}

function parseStatement(input: unknown): AttestationStatement {
  const statement = AttestationStatement.safeParse(input)
  if (statement.success) return statement.data
  const faults = statement.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
  throw new AppError('invalid_request', `The statement is not valid: ${faults.join('; ')}.`)
}

function nameOf({ publicKey: { x, y } }: Signer): string {
  return `${x}.${y}`
}
