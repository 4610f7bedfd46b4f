/** Generates a client with openapi-typescript and openapi-fetch, and compiles the README's calls. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { repositoryPath } from '#scripts/base/paths.ts'
import { readmeProgram } from '#test/support/stack/readme-calls.ts'

const DESCRIPTION = repositoryPath('docs/openapi.json')
const COMPILER = ['--noEmit', '--strict', '--skipLibCheck', '--allowImportingTsExtensions']
const FOR_NODE = ['--target', 'es2024', '--module', 'nodenext']

const dir = mkdtempSync(join(tmpdir(), 'littoral-client-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

/** The compiler's errors for a program beside the types; empty when it compiles. */
function compile(program: string): string {
  writeFileSync(join(dir, 'program.ts'), program)
  try {
    execFileSync(
      process.execPath,
      [repositoryPath('node_modules/typescript/bin/tsc'), ...COMPILER, ...FOR_NODE, 'program.ts'],
      { cwd: dir, encoding: 'utf8' },
    )
    return ''
  } catch (error) {
    return z.object({ stdout: z.string() }).parse(error).stdout
  }
}

describe('[A5] a client that is made from docs/openapi.json', () => {
  it('is generated without an error of Redocly, and compiles with every call of the README', () => {
    symlinkSync(repositoryPath('node_modules'), join(dir, 'node_modules'))
    writeFileSync(join(dir, 'package.json'), '{"type":"module"}')
    const tool = repositoryPath('test/openapi/make-types.mjs')
    execFileSync(process.execPath, [tool, DESCRIPTION, join(dir, 'schema.d.ts')])
    const { paths } = z
      .object({ paths: z.record(z.string(), z.unknown()) })
      .parse(JSON.parse(readFileSync(DESCRIPTION, 'utf8')))
    const readme = readFileSync(repositoryPath('README.md'), 'utf8')
    const program = readmeProgram(readme, Object.keys(paths))
    expect(program.match(/await client/g)?.length).toBeGreaterThanOrEqual(9)
    expect(compile(program)).toBe('')
    const misspelt = program.replace('"inputs":', '"input":').replace("'/v1/embeddings'", "'/v1/e'")
    expect(compile(misspelt)).toContain('error TS')
  })
})
