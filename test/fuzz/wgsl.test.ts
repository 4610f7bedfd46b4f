/** Ten thousand valid, broken and hostile kernels through parser and rewriter. Rules: docs/design/kernels-untrusted.md. */
import { describe, expect, test } from 'vitest'
import { parseKernel } from '#engine/kernels/parse/parse-kernel.ts'
import type { KernelModule, Loop, Statement } from '#engine/kernels/parse/syntax.ts'
import { inspectKernel } from '#engine/kernels/rewrite/inspect-kernel.ts'
import { meterKernel } from '#engine/kernels/rewrite/meter-kernel.ts'
import { errorCode } from '#shared/base/errors.ts'
import { generateKernel, mutateKernel } from '../support/wgsl/generate.ts'
import { GRAMMAR } from '../support/wgsl/grammar.ts'
import { HOSTILE_TO_READ, HOSTILE_TO_RUN } from '../support/wgsl/hostile.ts'
import { SAMPLES } from '../../bench/wgsl/kernels.ts'

const GRANT = { total: 1e9, each: 1e7 }

const KERNELS = Number(process.env.LITTORAL_FUZZ_KERNELS ?? 10_000)
const FIRST_SEED = Number(process.env.LITTORAL_FUZZ_SEED ?? 0)
/** CPU time of one kernel through parser and rewriter, independent of the machine's other load. */
const PATIENCE_MS = 10_000

function meter(source: string, isPooled = true) {
  return meterKernel(inspectKernel(source, 'main'), { ...GRANT, isPooled }, 64)
}

/** Every loop of a module, at any depth. */
function loopsOf({ declarations }: KernelModule): Loop[] {
  const found: Loop[] = []
  const walk = (statement: Statement | undefined): void => {
    if (statement === undefined) return
    if (statement.kind === 'block') statement.statements.forEach(walk)
    if (statement.kind === 'switch') statement.clauses.forEach(({ body }) => walk(body))
    if (statement.kind === 'if') [statement.body, statement.otherwise].forEach(walk)
    if (statement.kind === 'loop') {
      found.push(statement)
      for (const part of [statement.init, statement.update, statement.body, statement.continuing])
        walk(part)
    }
  }
  for (const declaration of declarations)
    if (declaration.kind === 'function') walk(declaration.body)
  return found
}

/** Checks that the loop begins with a test that may break it, and then draws on the budget. */
function isMetered({ body }: Loop): boolean {
  const [guard, draw] = body.statements
  const breaks = ({ kind }: Statement) => kind === 'break'
  return (
    guard?.kind === 'if' &&
    guard.body.statements.some(
      (inner) => breaks(inner) || (inner.kind === 'if' && inner.body.statements.some(breaks)),
    ) &&
    draw?.kind === 'assign' &&
    draw.operator === '-='
  )
}

/** Parses and rewrites a kernel: the result is a metered kernel or a named refusal, in bounded time. */
function checkKernel(source: string, name: string, isPooled = true): 'metered' | 'refused' {
  const started = process.cpuUsage()
  try {
    const report = inspectKernel(source, 'main')
    const metered = meterKernel(report, { ...GRANT, isPooled }, 64)
    const [before = [], after = []] = [report.source, metered.source].map((text) =>
      loopsOf(parseKernel(text)),
    )
    const lines = after.map(({ line }) => line).toSorted((a, b) => a - b)
    if (after.length !== before.length || !after.every(isMetered))
      throw new Error(`a loop is not metered:\n${metered.source}`)
    if (lines.join() !== metered.loopLines.toSorted((a, b) => a - b).join())
      throw new Error(`a loop has left its line:\n${metered.source}`)
    return 'metered'
  } catch (error) {
    const code = errorCode(error)
    if (code === 'invalid_request' || code === 'too_large') return 'refused'
    throw new Error(`kernel ${name} was met with\n${String(error)}\n${source}`, { cause: error })
  } finally {
    const { user, system } = process.cpuUsage(started)
    const ms = (user + system) / 1_000
    if (ms > PATIENCE_MS) expect.fail(`kernel ${name} took ${ms} ms`)
  }
}

describe('the WGSL parser', () => {
  test.each(Object.entries(GRAMMAR))('[U1] parses and meters: %s', (name, source) => {
    expect(checkKernel(source, name)).toBe('metered')
  })

  test.each(Object.entries(SAMPLES))('[U1] parses and meters a kernel for %s', (name, { wgsl }) => {
    expect(checkKernel(wgsl, name)).toBe('metered')
  })

  test.each(Object.entries(HOSTILE_TO_READ))('[U3] refuses %s', (name, source) => {
    expect(checkKernel(source, name)).toBe('refused')
  })

  test.each(Object.entries(HOSTILE_TO_RUN))('[U2] meters %s', (name, source) => {
    expect(checkKernel(source, name)).toBe('metered')
  })

  test('[U7] reports unexpected text with its line', () => {
    expect(() => meter('fn main() {\n  let x = ;\n}')).toThrow(
      expect.objectContaining({
        code: 'invalid_request',
        detail: expect.stringContaining('line 2: expected a name, found ;'),
      }),
    )
  })

  test(
    '[U1] [U2] every kernel ends metered in each loop, or refused with a name, and soon',
    { timeout: 60_000 + KERNELS * 30 },
    () => {
      const corpus = [
        ...Object.values(GRAMMAR),
        ...Object.values(HOSTILE_TO_RUN),
        ...Object.values(HOSTILE_TO_READ).filter(({ length }) => length < 10_000),
        ...Object.values(SAMPLES).map(({ wgsl }) => wgsl),
      ]
      const count = { metered: 0, refused: 0 }
      for (let seed = FIRST_SEED; seed < FIRST_SEED + KERNELS; seed += 1) {
        const made = () => generateKernel(seed, { isFinite: seed % 3 === 0 })
        const base = corpus[seed % corpus.length] ?? ''
        const other = corpus[(seed * 7 + 1) % corpus.length] ?? ''
        const source =
          seed % 5 === 0
            ? made()
            : seed % 5 === 1
              ? mutateKernel(made(), other, seed)
              : mutateKernel(base, other, seed)
        count[checkKernel(source, `seed ${seed}`, seed % 2 === 0)] += 1
      }
      // If all mutations were refused, or none, they would have tested nothing.
      expect(count.metered).toBeGreaterThan(KERNELS / 5)
      expect(count.refused).toBeGreaterThan(KERNELS / 5)
      console.log(`reader and rewriter: ${JSON.stringify(count)} from seed ${FIRST_SEED}`)
    },
  )
})
