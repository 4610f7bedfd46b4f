/** Sums a CPU profile by function: its own time, and its time with everything that it calls. */
import type { CpuProfile } from './inspector.ts'

export interface TopEntry {
  readonly name: string
  readonly selfMs: number
  readonly totalMs: number
}

export interface Top {
  /** Time that was not idle. */
  readonly busyMs: number
  readonly entries: readonly TopEntry[]
}

export function topOf(profile: CpuProfile): Top {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]))
  const parents = new Map(
    profile.nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])),
  )
  const named = (id: number) => {
    const { functionName, lineNumber } = nodes.get(id)?.callFrame ?? { lineNumber: 0 }
    return `${functionName === '' ? '(anonymous)' : functionName}:${lineNumber + 1}`
  }
  const self = new Map<string, number>()
  const total = new Map<string, number>()
  const add = (to: Map<string, number>, name: string, ms: number) =>
    to.set(name, (to.get(name) ?? 0) + ms)
  let busyMs = 0
  for (const [index, id] of profile.samples.entries()) {
    const ms = (profile.timeDeltas[index] ?? 0) / 1000
    const name = named(id)
    if (name.startsWith('(idle)')) continue
    busyMs += ms
    add(self, name, ms)
    const seen = new Set<string>()
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at))
      seen.add(named(at))
    for (const caller of seen) add(total, caller, ms)
  }
  const entries = [...total].map(([name, totalMs]) => ({
    name,
    totalMs,
    selfMs: self.get(name) ?? 0,
  }))
  return { busyMs, entries }
}
