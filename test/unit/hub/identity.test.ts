/** A hub keeps its keys and its jurisdiction, whatever the settings say later. */
import { expect, test } from 'vitest'
import { loadIdentity } from '#worker/hub/network/identity.ts'
import { HUB_SCHEMA } from '#worker/hub/schema.ts'
import { openSchema } from '#worker/platform/schema.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'

test('a hub that began in one jurisdiction does not start in another', async () => {
  const storage = createSqliteStorage()
  openSchema(storage, HUB_SCHEMA)
  const { signer } = await loadIdentity(storage, 'eu')
  await expect(loadIdentity(storage, 'us')).rejects.toMatchObject({
    code: 'internal',
    detail: expect.stringMatching(/eu.*HUB_REGIONS.*us/),
  })
  expect((await loadIdentity(storage, 'eu')).signer.publicKey).toEqual(signer.publicKey)
})
