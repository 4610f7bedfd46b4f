/** Operators' statements about dedicated nodes, kept in the hub's storage and read when a node enters. */
import { SignedAttestation } from '#shared/place/evidence.ts'
import type { SqlStorage } from '#worker/platform/storage.ts'

const ATTESTATIONS_KEPT = 10_000

export type Attestations = ReturnType<typeof createAttestations>

export function createAttestations({ sql }: SqlStorage, now: () => number) {
  const sweep = () => void sql.exec('DELETE FROM attestations WHERE expires_at_ms <= ?', now())
  const parse = (value: unknown) => SignedAttestation.parse(JSON.parse(String(value)))
  return {
    /** @returns null if there is none, or it has expired */
    of(nodeId: string): SignedAttestation | null {
      sweep()
      const [row] = sql.exec('SELECT statement FROM attestations WHERE node = ?', nodeId).toArray()
      return row === undefined ? null : parse(row['statement'])
    },
    put(attestation: SignedAttestation): void {
      sweep()
      const { nodeId, expiresAtMs } = attestation.statement
      sql.exec(
        'INSERT OR REPLACE INTO attestations (node, statement, expires_at_ms) VALUES (?, ?, ?)',
        nodeId,
        JSON.stringify(attestation),
        expiresAtMs,
      )
      sql.exec(
        'DELETE FROM attestations WHERE rowid NOT IN (SELECT rowid FROM attestations ORDER BY rowid DESC LIMIT ?)',
        ATTESTATIONS_KEPT,
      )
    },
    remove(nodeId: string): boolean {
      const query = 'DELETE FROM attestations WHERE node = ? RETURNING node'
      return sql.exec(query, nodeId).toArray().length > 0
    },
    list(): SignedAttestation[] {
      sweep()
      return sql
        .exec('SELECT statement FROM attestations ORDER BY node')
        .toArray()
        .map((row) => parse(row['statement']))
    },
  }
}
