/** Runs README's snippets in their order, as a reader who copies them does. */
import { spawn } from 'node:child_process'
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { repositoryPath } from '#scripts/base/paths.ts'
import { openPolicy, useStack } from '#test/support/stack/stack.ts'

const SERVED_AT = 'http://127.0.0.1:8787'

// A batch in some seconds, so that the bundle is still pending, as it is for a reader.
const { stack, tenant } = useStack({
  batchSeconds: 5,
  scopes: ['infer', 'policy', 'audit'],
  policies: [openPolicy('WORLD')],
})
beforeAll(async () => {
  const options = ['--models', 'littoral-embed-400k,littoral-chat-2m']
  await stack.startNode({ name: 'de', region: 'DE', verified: true, options })
})

/** The snippets from “Try it” to the verified bundle as one shell script. */
async function readScript(): Promise<string> {
  const readme = await readFile(repositoryPath('README.md'), 'utf8')
  const part = readme.slice(readme.indexOf('\n## Try it'), readme.indexOf('\n## More'))
  const blocks = [...part.matchAll(/^```(sh|js)\n(.*?)^```$/gms)]
  expect(blocks.length).toBeGreaterThan(6)
  const steps = blocks.map(([, language, code = '']) =>
    language === 'js' ? `cat > try.mjs <<'END'\n${code}END\nnode try.mjs` : code,
  )
  const script = steps.map((step) => `${step}\necho`).join('\n')
  expect(script).toContain('npm run verify -- bundle.json')
  return script.replaceAll(SERVED_AT, stack.url)
}

/** A folder like a clone, with this stack's `.littoral/dev.json`. */
async function makeClone(): Promise<string> {
  const folder = join(stack.dir, 'clone')
  await mkdir(join(folder, '.littoral'), { recursive: true })
  for (const name of await readdir(repositoryPath('.')))
    if (!name.startsWith('.')) await symlink(repositoryPath(name), join(folder, name))
  await writeFile(join(folder, '.littoral/dev.json'), JSON.stringify({ apiKey: tenant.apiKey }))
  return folder
}

function run(script: string, cwd: string): Promise<string> {
  const { chain, deployment, logPublicKey } = stack
  // `npm run verify` reads these from the dev.json of a running instance.
  const told = `--rpc ${chain.rpc} --settlement ${deployment.settlement} --log-key ${logPublicKey} --allow-simulated`
  const npm = `npm() { shift 3; '${process.execPath}' scripts/commands/verify.ts "$@" ${told}; echo "verify exits $?"; }`
  const child = spawn('bash', ['-c', `${npm}\n${script}`], { cwd })
  let output = ''
  child.stdout.on('data', (text: Buffer) => (output += text.toString()))
  child.stderr.on('data', (text: Buffer) => (output += text.toString()))
  return new Promise((done, fail) => {
    child.once('error', fail)
    child.once('exit', () => done(output))
  })
}

it('answers each snippet verbatim, and the bundle at the end holds or is reported as pending', async () => {
  const script = await readScript()
  const output = await run(script, await makeClone())
  const problems = [...output.matchAll(/errors\/([a-z_]+)","title"/g)].map(([, code]) => code)
  // Intended: the request that is narrowed to Iceland.
  expect(problems, output).toEqual(['residency_unsatisfiable'])
  expect(output).toMatch(/^2 vectors of \d+$/m)
  expect(output).toMatch(/^tiles\.png: 128×128, .* 64 items on 1 node/m)
  expect(output).not.toContain('NOT valid')
  const exit = /verify exits (\d)/.exec(output)?.[1]
  if (exit === '3') expect(output).toMatch(/No check fails .* pending, to be settled by 20/)
  else expect([exit, output]).toEqual(['0', expect.stringContaining('Everything holds')])
}, 300_000)
