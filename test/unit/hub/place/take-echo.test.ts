/** Evidence that a hub is given: by anchors, whose echoes the node has signed, and by attesters. */
import { HUB_SCHEMA } from '#worker/hub/schema.ts'
import { expect, it } from 'vitest'
import { NodeId } from '#shared/base/ids.ts'
import { silentLog } from '#shared/base/log.ts'
import { createSigner, generateSigningKey } from '#shared/proof/signature.ts'
import { createAttestations } from '#worker/hub/place/attestations.ts'
import { createKnownEchoes } from '#worker/hub/place/known-echoes.ts'
import { takeEcho } from '#worker/hub/place/take-echo.ts'
import { signAttestation } from '#shared/place/evidence.ts'
import { createEchoMaker, NOW_MS } from '#test/support/hub/evidence.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'

const ID = NodeId.parse('12D3KooWGRUfVhn7rP1fhW4mRDVmWcuJwuYRhUPxGX5EcHCZx9ij')

it('[PL5] an echo that the node has not signed, or that another hub than its anchor sends, is ignored', async () => {
  const maker = await createEchoMaker()
  const echo = await maker.echo('frankfurt', 1)
  const taken: unknown[] = []
  const reasons: unknown[] = []
  const targets = {
    echoes: createKnownEchoes(),
    directory: {
      get: () => ({ evidence: { addEcho: (one: unknown) => taken.push(one) } }) as never,
    },
    log: {
      ...silentLog,
      warn: (_event: string, fields?: Record<string, unknown>) =>
        void reasons.push(fields?.['reason']),
    },
  }
  await takeEcho('hub-frankfurt', echo, targets)
  await takeEcho('hub-warsaw', echo, targets)
  expect(taken).toEqual([])
  expect(reasons.join(' ')).toMatch(/not signed by node.*hub-warsaw sends what hub-frankfurt/)
})

it('attestations are kept by node until they expire, and a newer one replaces the last', async () => {
  let nowMs = NOW_MS
  const hub = await createSigner(await generateSigningKey(false))
  const kept = createAttestations(createSqliteStorage({ schema: HUB_SCHEMA }), () => nowMs)
  const make = (country: string, expiresAtMs: number) =>
    signAttestation({ version: 1, nodeId: ID, country, issuedAtMs: NOW_MS, expiresAtMs }, hub)
  kept.put(await make('DE', NOW_MS + 10))
  kept.put(await make('FR', NOW_MS + 20))
  expect(kept.of(ID)?.statement.country).toBe('FR')
  expect(kept.list()).toHaveLength(1)
  nowMs = NOW_MS + 20
  expect(kept.of(ID)).toBeNull()
  expect(kept.remove(ID)).toBe(false)
})
