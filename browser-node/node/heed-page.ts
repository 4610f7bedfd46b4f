/** Obeys the page's commands, and pauses while the page is silent: its owner can then neither see nor stop the work. */
import type { Command } from './protocol.ts'

/** Consecutive beats that the page may leave unanswered. */
export const UNANSWERED_BEATS = 15

export interface PageHeedOptions {
  /** Called for one command at a time. */
  readonly obey: (command: Exclude<Command, { readonly type: 'beat' }>) => Promise<void>
  readonly onSilent: (beats: number) => void
}

export function heedPage({ obey, onSilent }: PageHeedOptions) {
  let turn = Promise.resolve()
  let unanswered = 0
  let wanted: Command | undefined
  let isSuspended = false
  const next = (command: Exclude<Command, { readonly type: 'beat' }>) => {
    turn = turn.then(() => obey(command))
  }
  return {
    hear(command: Command) {
      unanswered = 0
      const again = command.type === 'beat' && isSuspended ? wanted : command
      if (again === undefined || again.type === 'beat') return
      wanted = again
      isSuspended = false
      next(again)
    },
    /** Counts a beat that was sent to the page, which should answer it. */
    beat() {
      unanswered += 1
      if (unanswered <= UNANSWERED_BEATS || isSuspended || wanted?.type !== 'start') return
      isSuspended = true
      onSilent(unanswered)
      next({ type: 'pause' })
    },
  }
}
