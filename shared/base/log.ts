/** Structured logs: one JSON line per event, `noun.past-verb` and flat fields. Only this file writes to the console. */

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>

export interface Log {
  debug(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  error(event: string, fields?: LogFields): void
  /** The same log, with these fields on every line. */
  with(fields: LogFields): Log
}

export const LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LEVELS)[number]

export interface LogOptions {
  /** @default info */
  readonly level?: LogLevel
  readonly write?: (line: string, level: LogLevel) => void
}

export function createLog(options: LogOptions = {}, base: LogFields = {}): Log {
  const least = LEVELS.indexOf(options.level ?? 'info')
  const write =
    options.write ??
    ((line, level) => (level === 'error' ? console.error(line) : console.log(line)))
  const emit =
    (level: LogLevel) =>
    (event: string, fields: LogFields = {}) => {
      if (LEVELS.indexOf(level) < least) return
      write(
        JSON.stringify({ at: new Date().toISOString(), level, event, ...base, ...fields }),
        level,
      )
    }
  return {
    debug: emit('debug'),
    info: emit('info'),
    warn: emit('warn'),
    error: emit('error'),
    with: (fields) => createLog(options, { ...base, ...fields }),
  }
}

export const silentLog: Log = createLog({ write: () => {} })
