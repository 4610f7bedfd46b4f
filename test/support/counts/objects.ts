/**
 * The deployment's Durable Objects in plain Node: their real classes over SQLite, with every call, write and alarm
 * counted. Alarms fire in a time of their own, so that a busy machine causes no more of them. Like the platform's, the
 * objects have no shutdown: their databases are in memory, and stay open for timers that are still set.
 */
import { setImmediate } from 'node:timers/promises'
import type { ObjectNamespace } from '#worker/platform/config.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'
import type { Tally } from './tally.ts'

interface ObjectInstance {
  fetch?(request: Request): Promise<Response>
  alarm?(): Promise<void>
}

export type ObjectClass = new (ctx: unknown, env: unknown) => ObjectInstance

interface Held {
  readonly instance: ObjectInstance
  /** In the time of the alarms. */
  alarmAtMs: number | null
}

export interface Objects {
  namespace(kind: string, create: ObjectClass, env: unknown): ObjectNamespace
  /** Lets this much of the alarms' time pass, and fires what is due. */
  pass(ms: number): Promise<void>
  /** Fires the alarms of this kind of object until none is set. */
  settle(kind: string): Promise<void>
}

const WRITE = /^\s*(?:INSERT|UPDATE|DELETE|REPLACE)\s+(?:OR \w+ )?(?:INTO |FROM )?(\w+)/i

export function createObjects(tally: Tally): Objects {
  const held = new Map<string, Held>()
  let nowMs = 0

  const open = (kind: string, name: string, { create, env }: Made): ObjectInstance => {
    const key = `${kind} ${name}`
    const found = held.get(key)
    if (found !== undefined) return found.instance
    const alarms = {
      getAlarm: () => Promise.resolve(held.get(key)?.alarmAtMs ?? null),
      setAlarm(atMs: number) {
        tally.add('alarms', kind)
        const own = held.get(key)
        if (own !== undefined) own.alarmAtMs = nowMs + Math.max(0, atMs - Date.now())
        return Promise.resolve()
      },
      deleteAlarm() {
        const own = held.get(key)
        if (own !== undefined) own.alarmAtMs = null
        return Promise.resolve()
      },
    }
    const ctx = {
      id: { name },
      storage: Object.assign(countedStorage(kind, tally), alarms),
      waitUntil: (work: Promise<unknown>) => void work.catch(() => {}),
      blockConcurrencyWhile: <T>(work: () => Promise<T>) => work(),
    }
    const instance = new create(ctx, env)
    held.set(key, { instance, alarmAtMs: null })
    return instance
  }
  const fire = async (own: Held): Promise<void> => {
    own.alarmAtMs = null
    await own.instance.alarm?.()
  }
  return {
    namespace(kind, create, env) {
      const getByName = (name: string) => stubOf(kind, open(kind, name, { create, env }), tally)
      const namespace = { getByName, jurisdiction: () => namespace }
      return namespace
    },
    async pass(ms) {
      nowMs += ms
      for (const own of held.values())
        if (own.alarmAtMs !== null && own.alarmAtMs <= nowMs) await fire(own)
    },
    async settle(kind) {
      for (const [key, own] of held)
        while (key.startsWith(`${kind} `) && own.alarmAtMs !== null) await fire(own)
    },
  }
}

interface Made {
  readonly create: ObjectClass
  readonly env: unknown
}

/** Counts statements that write, and the commits that they end in: workerd commits once for each event. */
function countedStorage(kind: string, tally: Tally) {
  const sqlite = createSqliteStorage()
  const { sql } = sqlite
  let isDirty = false
  const onWrite = (table: string) => {
    tally.add('database writes', `${kind}: ${table}`)
    if (isDirty) return
    isDirty = true
    tally.add('database commits', kind)
    // Comes after the promises that are due now, as workerd's commit does.
    process.nextTick(() => void (isDirty = false))
  }
  return {
    transactionSync: <T>(closure: () => T) => sqlite.transactionSync(closure),
    sql: {
      exec(...[query, ...bindings]: Parameters<typeof sql.exec>) {
        const [, table] = WRITE.exec(query) ?? []
        if (table !== undefined) onWrite(table)
        return sql.exec(query, ...bindings)
      },
    },
  }
}

/** What a caller holds: `stub.receipts.record(…)` is one call, however long its path. */
function stubOf(kind: string, target: object, tally: Tally, path: readonly string[] = []): unknown {
  return new Proxy(() => {}, {
    get(_, name) {
      // A stub is no promise, although it is awaited.
      if (typeof name !== 'string' || name === 'then') return undefined
      return stubOf(kind, target, tally, [...path, name])
    },
    async apply(_, __, args: unknown[]) {
      tally.add('object calls', [kind, ...path].join('.'))
      // The runtime delivers a call in an event of its own.
      await setImmediate()
      const owner = path.slice(0, -1).reduce<object>((at, name) => Reflect.get(at, name), target)
      const method = Reflect.get(owner, path.at(-1) ?? '') as (...args: unknown[]) => unknown
      return await Reflect.apply(method, owner, args)
    },
  })
}
