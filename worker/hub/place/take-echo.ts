/** Takes what an anchor, another hub of this deployment, has measured of a node of this hub. */
import { checkSignedEcho } from '#shared/place/echo.ts'
import type { SignedEcho } from '#shared/place/evidence.ts'
import type { Log } from '#shared/base/log.ts'
import type { KnownEchoes } from './known-echoes.ts'
import type { MemberEvidence } from './member-evidence.ts'

export interface TakeEchoDeps {
  /** The hub's connected nodes. */
  readonly directory: {
    get(nodeId: string): { readonly evidence: MemberEvidence } | undefined
  }
  readonly echoes: KnownEchoes
  readonly log: Log
}

/** @param from the hub that sends it; the platform vouches for its name */
export async function takeEcho(
  from: string,
  echo: SignedEcho,
  { directory, echoes, log }: TakeEchoDeps,
): Promise<void> {
  const { nodeId, anchor } = echo.statement
  try {
    if (anchor !== from) throw new Error(`${from} sends what ${anchor} measured`)
    await checkSignedEcho(echo)
  } catch (error) {
    log.warn('echo.refused', { nodeId, anchor, reason: String(error) })
    return
  }
  // Kept only for a member: a stranger's measurements must not fill the memory.
  const member = directory.get(nodeId)
  if (member === undefined) return
  echoes.add(echo)
  member.evidence.addEcho?.(echo)
}
