/** Who is signed in, and what that key may do. */
import type { OwnKeyReply, Scope } from '#shared/api/keys.ts'
import type { Api } from './api.ts'

export interface Session {
  readonly api: Api
  readonly key: OwnKeyReply
  /** Whether the key has one of these scopes; `admin` stands for `policy` and `audit`, too. */
  readonly can: (...scopes: readonly Scope[]) => boolean
}

export function createSession(api: Api, key: OwnKeyReply): Session {
  const granted = new Set<Scope>(key.scopes)
  if (granted.has('admin')) granted.add('policy').add('audit')
  return { api, key, can: (...scopes) => scopes.some((scope) => granted.has(scope)) }
}

const ABILITIES: readonly {
  readonly scopes: readonly Scope[]
  readonly may: string
}[] = [
  { scopes: ['policy', 'audit', 'infer'], may: 'read policies' },
  { scopes: ['policy'], may: 'publish and dry-run policies' },
  { scopes: ['audit'], may: 'read and export the audit log, and check proofs' },
  { scopes: ['admin'], may: 'erase jobs, and make, rotate and revoke keys' },
  { scopes: ['infer'], may: 'send jobs' },
]

/** Describes what the key may and may not do. */
export function abilities(session: Session): { may: string[]; mayNot: string[] } {
  const split = { may: [] as string[], mayNot: [] as string[] }
  for (const { scopes, may } of ABILITIES) {
    if (session.can(...scopes)) split.may.push(may)
    else split.mayNot.push(`${may} (scope ${scopes[0] ?? ''})`)
  }
  return split
}
