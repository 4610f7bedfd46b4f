/** The volunteer's page on failed jobs and restored keys. */
import { describe, expect, it } from 'vitest'
import { applyOtherKey, INITIAL_STATE } from '../../../browser-node/ui/page-state.ts'
import { describeFailure } from '../../../browser-node/ui/failure.ts'
import { readKeyFile } from '../../../browser-node/ui/key-file.ts'
import { failureOf } from '#node-core/job-failure.ts'
import { identityToBytes, newIdentity, peerIdOf } from '#p2p/peers/identity.ts'
import { AppError } from '#shared/base/errors.ts'
import { exportSigningKey, generateSigningKey } from '#shared/proof/signature.ts'

describe('a failed job', () => {
  it('is attributed to the customer only if the customer ended it', () => {
    const said = (code: 'cancelled' | 'node_timeout') =>
      describeFailure(failureOf(new AppError(code, 'The hub heard nothing of it for too long.')))
    expect(said('cancelled')).toContain('Nothing is wrong with this device')
    expect(said('node_timeout')).toBe(
      'The last job failed on this device: The hub heard nothing of it for too long.',
    )
  })
})

describe('a restored key', () => {
  it('is shown by its public id, and the old node is forgotten', async () => {
    const identity = await newIdentity()
    const file = {
      kind: 'littoral-node-key',
      version: 1,
      identity: Buffer.from(identityToBytes(identity)).toString('base64'),
      receiptKey: await exportSigningKey(await generateSigningKey(true)),
    }
    const { nodeId } = await readKeyFile(JSON.stringify(file))
    expect(nodeId).toBe(peerIdOf(identity))
    expect(applyOtherKey(INITIAL_STATE, nodeId)).toMatchObject({ ownId: nodeId, node: null })
  })

  it('is validated before the browser’s own key is touched', async () => {
    for (const text of ['{"name":"littoral"}', 'no JSON', ''])
      await expect(readKeyFile(text)).rejects.toMatchObject({ code: 'invalid_request' })
  })
})
