/** `npm start`: starts the whole system on this machine, sends two requests, waits for their settlement, then serves. */
import { writeFile } from 'node:fs/promises'
import { formatUsd } from '#shared/receipt/money.ts'
import { createLog } from '#shared/base/log.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'
import { buildPages, buildWorker } from '#scripts/build/build.ts'
import { createChainView } from '#shared/verify/chain-view.ts'
import { exitCodeOf, flag, port, readCommandLine, wordsOf } from '#scripts/base/arguments.ts'
import { repositoryPath } from '#scripts/base/paths.ts'
import { callApi, publishDefault } from '#scripts/stack/operator.ts'
import { startStack, type Stack } from '#scripts/stack/stack.ts'
import { formatLine } from '#scripts/base/format-line.ts'
import { verifyReceipt } from '#shared/verify/receipt.ts'
import { formatAnswer } from '#scripts/start/answer.ts'
import {
  analyseVibration,
  OPEN_POLICY,
  PINNED_POLICY,
  readMeter,
  type DemoClient,
} from '#scripts/start/demo.ts'
import { fetchEarnings, untilSettled } from '#scripts/start/settled.ts'

/** Loaded before the first request; other models are loaded on demand. */
const WARM_MODELS = ['pp-ocr-rec', 'littoral-embed-400k', 'littoral-chat-2m']
const STATE_DIR = repositoryPath('.littoral')

const OPTIONS = {
  once: flag,
  json: flag,
  port,
  verbose: flag,
}

const { values: flags } = readCommandLine(OPTIONS)
/** With --json only the document goes to stdout. */
const say = (text: string) => (flags.json ? process.stderr : process.stdout).write(`${text}\n`)
const complain = (text: string) => process.stderr.write(`${text}\n`)
const log = createLog({
  level: flags.verbose ? 'debug' : 'error',
  write: (line) => process.stderr.write(`${line}\n`),
})

let stack: Stack | undefined
let isStopping = false
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void stop(0))
try {
  await main()
} catch (error) {
  await stop(exitCodeOf(error), wordsOf(error))
}

async function main(): Promise<void> {
  stack = await startStack({
    dir: STATE_DIR,
    port: flags.port,
    prepare: build,
    log,
    onStep: say,
    keeper: { say: complain, giveUp: ({ detail }) => void stop(1, detail) },
  })
  const tenant = await stack.createTenant('demo', ['infer', 'policy', 'audit'])
  const client = { url: stack.url, apiKey: tenant.apiKey }
  await publishPolicies(client)
  say(
    `Local node: ${WARM_MODELS.join(', ')}, each past its golden check first; other models on demand`,
  )
  const node = await stack.startNode({
    name: 'local',
    region: 'DE',
    verified: true,
    options: ['--models', WARM_MODELS.join(',')],
  })
  await writeDevFile(stack, tenant.apiKey)

  const answers = [await readMeter(client), await analyseVibration(client)]
  for (const answer of answers) say(formatAnswer(answer))

  say('\nWaiting until both receipts are settled')
  const documents = await Promise.all(answers.map((answer) => untilSettled(client, answer.receipt)))
  const [first] = documents
  const settlement = first?.settlement
  if (first === undefined || settlement === null || settlement === undefined)
    throw new Error('no receipt was settled')
  const earnings = await fetchEarnings(client, first.receipt.receipt.receiptKey)
  for (const { settlement: at } of documents)
    say(`  batch ${at?.batchId}   transaction ${at?.transactionHash}   block ${at?.blockNumber}`)
  say(
    `  node ${node.nodeId} has earned ${formatUsd(BigInt(earnings.settledMicroUsd))}, all settled; it claims without a wallet of its own`,
  )

  say(`\nnpm run verify -- ${first.receipt.id}`)
  const chain = await createChainView(stack.chain.rpc, stack.deployment.settlement)
  const verification = await verifyReceipt(first, { chain, allowSimulated: true })
  for (const line of verification.lines) say(`  ${formatLine(line)}`)
  if (!verification.ok) throw new Error('the receipt does not verify')

  const report = {
    urls: urlsOf(stack.url),
    key: tenant.apiKey,
    answers,
    receipts: documents,
    batch: settlement,
    earnings,
    verification,
  }
  if (flags.once) {
    await stack.close()
    process.stdout.write(flags.json ? `${JSON.stringify(report, null, 2)}\n` : '\nDone.\n')
    process.exit(0)
  }
  if (flags.json) process.stdout.write(`${JSON.stringify(report)}\n`)
  say(`\nServing. Ctrl-C ends everything.`)
  for (const [name, url] of Object.entries(report.urls)) say(`  ${name.padEnd(11)} ${url}`)
  say(`  API key     ${tenant.apiKey}`)
  say(
    `\nTry it:\n  curl ${stack.url}/v1/embeddings -H 'authorization: Bearer ${tenant.apiKey}' -H 'content-type: application/json' \\\n    -d '{"model":"littoral-embed-400k","input":"turn on the kitchen light"}'`,
  )
}

async function build(): Promise<void> {
  say('Build: Worker and pages')
  await buildPages(MANIFESTS)
  await buildWorker({ simulatedPlaces: true })
}

async function publishPolicies({ url, apiKey: key }: DemoClient): Promise<void> {
  const path = `/v1/policies/${PINNED_POLICY.id}`
  await callApi({ url, key, method: 'PUT', path, body: PINNED_POLICY })
  await publishDefault({ url, key }, OPEN_POLICY)
}

/** Writes the file that other commands read. It holds a key, so only its owner may read it. */
async function writeDevFile(
  { url, chain, deployment, operator, logPublicKey }: Stack,
  apiKey: string,
): Promise<void> {
  const network = await callApi({ url, key: apiKey, method: 'GET', path: '/v1/network' })
  const { hubs } = network as { hubs: unknown[] }
  const file = {
    url,
    apiKey,
    operatorKey: operator.key,
    hubs,
    logKey: logPublicKey,
    chain: { rpc: chain.rpc, ...deployment },
    simulatedPlaces: true,
  }
  await writeFile(repositoryPath('.littoral/dev.json'), JSON.stringify(file, null, 2), {
    mode: 0o600,
  })
}

function urlsOf(url: string): Record<string, string> {
  return {
    api: url,
    contribute: `${url}/contribute?place=DE`,
    compliance: `${url}/compliance`,
    docs: `${url}/docs`,
    network: `${url}/v1/network`,
    openapi: `${url}/openapi.json`,
  }
}

async function stop(code: number, why?: string): Promise<void> {
  if (isStopping) return
  isStopping = true
  if (why !== undefined) complain(`\nnpm start failed: ${why}`)
  await stack?.close()
  process.exit(code)
}
