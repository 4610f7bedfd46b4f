/** Plants one violation of every wall of ARCHITECTURE.md, by alias and by relative path, and expects the check to find it. */
import { readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { describe, expect, it } from 'vitest'
import { repositoryPath } from '#scripts/base/paths.ts'
import { readImports } from '#scripts/house/imports.ts'
import { judgeHouse } from '#scripts/house/judge.ts'
import { readPlan } from '#scripts/house/plan.ts'

const plan = readPlan(readFileSync(repositoryPath('ARCHITECTURE.md'), 'utf8'))
const paths = plan.rooms.map(({ path }) => path)
/** A file in every room, so that only the planted violation is wrong. */
const house = paths.map((path) => readImports(`${path}/some.ts`, ''))

/** Faults that a file with this text in that room adds. */
function faultsOf(room: string, text: string): readonly string[] {
  return judgeHouse(plan, [...house, readImports(`${room}/planted.ts`, text)]).faults
}

const spellings = (from: string, to: string): string[] => {
  const relative = posix.relative(from, `${to}/some.ts`)
  return [
    `import { some } from '#${to}/some.ts'`,
    `import { some } from '${relative.startsWith('.') ? relative : `./${relative}`}'`,
    `import type { Some } from '#${to}/some.ts'`,
    `export { some } from '#${to}/some.ts'`,
    `const some = await import('#${to}/some.ts')`,
    `let some: import('#${to}/some.ts').Some`,
  ]
}

describe('the house', () => {
  it('finds no fault in the source', () => {
    expect(judgeHouse(plan, house).faults).toEqual([])
    for (const { path, rooms } of plan.rooms)
      for (const other of rooms)
        for (const text of spellings(path, other)) expect(faultsOf(path, text)).toEqual([])
  })

  it('finds an import between any two rooms of a layer that the plan does not connect', () => {
    const walls = plan.rooms.flatMap(({ path, rooms }) =>
      paths
        .filter((other) => other.split('/')[0] === path.split('/')[0])
        .filter((other) => other !== path && !rooms.includes(other))
        .map((other) => [path, other] as const),
    )
    expect(walls.length).toBeGreaterThan(1_000)
    for (const [path, other] of walls)
      for (const text of spellings(path, other).slice(0, 2))
        expect(faultsOf(path, text)[0]).toBe(
          `${path}/planted.ts imports ${/'(.*)'/.exec(text)?.[1]}: ${path}/ may not import ${other}/`,
        )
  })

  it('finds an import between any two layers that the plan does not connect, in every spelling', () => {
    for (const layer of plan.layers) {
      if (layer.layers === 'all') continue
      const closed = plan.layers.filter(
        ({ name }) => name !== layer.name && !layer.layers.includes(name),
      )
      expect(closed.length).toBeGreaterThan(0)
      const room = paths.find((path) => path.split('/')[0] === layer.name) ?? layer.name
      for (const other of closed)
        for (const text of spellings(room, other.name))
          expect(faultsOf(room, text)).toContainEqual(
            expect.stringContaining(`${layer.name}/ may not import ${other.name}/`),
          )
    }
  })

  it('finds packages of another runtime in each layer', () => {
    const FOREIGN: Readonly<Record<string, readonly string[]>> = {
      shared: ['node:fs', 'hono', 'libp2p', 'cloudflare:workers'],
      p2p: ['node:net', 'hono', 'onnxruntime-web'],
      engine: ['node:fs', 'onnxruntime-node', 'libp2p'],
      'node-core': ['node:fs', 'onnxruntime-node', 'onnxruntime-web'],
      'browser-node': ['node:fs', 'onnxruntime-node', 'hono'],
      'local-node': ['cloudflare:workers', 'hono', 'vite'],
      worker: ['node:fs', 'wrangler', 'onnxruntime-web', 'libp2p'],
      bridge: ['libp2p', 'cloudflare:workers', 'viem'],
      console: ['node:fs', 'hono', 'libp2p'],
      examples: ['zod', 'openai'],
    }
    const bounded = plan.layers.filter(({ packages }) => packages !== 'all')
    expect(Object.keys(FOREIGN).toSorted()).toEqual(bounded.map(({ name }) => name).toSorted())
    for (const [name, packages] of Object.entries(FOREIGN))
      for (const foreign of packages) {
        const room = paths.find((path) => path.split('/')[0] === name) ?? name
        expect(faultsOf(room, `import x from '${foreign}'`)).toEqual([
          `${room}/planted.ts imports ${foreign}: ${name}/ may not use that package`,
        ])
      }
  })

  it('finds an arrow up in the plan, a circle of rooms, a room without a line and a room with too many files', () => {
    const table = [
      '| Folder | Is | May import | Packages |',
      '|---|---|---|---|',
      '| `a/` | one | | |',
      '',
      '| Room | What happens there | May import |',
      '|---|---|---|',
      '| `a/low` | one | high |',
      '| `a/high` | one | low |',
    ].join('\n')
    const files = [
      readImports('a/low/x.ts', "import '#a/high/x.ts'"),
      readImports('a/high/x.ts', "import '../low/x.ts'"),
      ...Array.from({ length: 17 }, (_, index) => readImports(`a/full/${index}.ts`, '')),
    ]
    const { figures, faults } = judgeHouse(readPlan(table), files)
    expect(figures).toMatchObject({ rooms: 3, arrows: 2, circles: 1, up: 1 })
    expect(faults).toEqual([
      'an arrow up: the plan lets a/low/ import a/high/, which is not above it in the table',
      "a/full/ has no line in ARCHITECTURE.md's tables of rooms",
      'a circle of rooms: a/low → a/high',
      'a/full/ has 17 files; a room has at most 16',
    ])
  })
})
