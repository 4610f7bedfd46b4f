import { setTimeout as sleep } from 'node:timers/promises'
import type { Stream } from '@libp2p/interface'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  answerEcho,
  ECHO_PROTOCOL,
  measureStream,
  serveEchoes,
  type EchoResult,
  ECHOES_REFUSED,
} from '#p2p/work/echo.ts'
import { createFrameStream, type FrameStream } from '#p2p/stream/frame-stream.ts'
import type { Frame } from '#p2p/stream/frames.ts'
import { newIdentity } from '#p2p/peers/node.ts'
import { systemClock } from '#p2p/stream/clock.ts'
import { checkSignedEcho } from '#shared/place/echo.ts'
import { signEcho } from '#shared/place/evidence.ts'
import { NodeId, randomBytes } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import { silentLog } from '#shared/base/log.ts'
import { createSigner, generateSigningKey } from '#shared/proof/signature.ts'
import {
  createMemoryNetwork,
  type ConnectedNode,
  type MemoryNetwork,
} from '#test/support/hub/memory-network.ts'

let network: MemoryNetwork
let node: ConnectedNode
beforeEach(async () => {
  network = await createMemoryNetwork()
  node = await network.connect()
})
afterEach(() => network.close())

const parties = () => ({
  anchorPeerId: network.hub.peerId.toString(),
  nodeId: node.libp2p.peerId.toString(),
})

/** Opens a measuring stream; `serve` is the node's end of it. */
async function measure(
  serve: (stream: Stream) => void,
  { clock = systemClock, log = silentLog }: { clock?: typeof systemClock; log?: Log } = {},
): Promise<EchoResult> {
  await node.libp2p.handle(ECHO_PROTOCOL, serve)
  const [connection] = network.hub.getConnections(node.libp2p.peerId)
  if (connection === undefined) throw new Error('not connected')
  const stream = await connection.newStream(ECHO_PROTOCOL)
  return measureStream(stream, { ...parties(), clock, clockResolutionMs: 0.01, randomBytes, log })
}

/** A node that answers each echo as the test likes. */
function misbehave(onEcho: (frame: Frame, frames: FrameStream) => void): (stream: Stream) => void {
  return (stream) => {
    const frames: FrameStream = createFrameStream(stream, {
      onFrame(frame) {
        if (frame.kind === 'echo') onEcho(frame, frames)
      },
    })
  }
}

const answer = (frame: Frame) => answerEcho(frame, parties(), node.identity.identity)

describe('[PL3] a signed echo', () => {
  it('is measured many times, and the second shortest counts', async () => {
    const result = await measure((stream) => {
      void serveEchoes(stream, parties(), node.identity.identity)
    })
    expect(result.samples).toBe(LIMITS.echoSamples)
    expect(result.minRttMs).toBeGreaterThan(0)
  })

  it('is not made shorter by a clock that is set back once', async () => {
    let echoes = 0
    let setBackMs = 0
    const clock = { ...systemClock, nowMs: () => systemClock.nowMs() - setBackMs }
    const result = await measure(
      misbehave((frame, frames) => {
        echoes += 1
        if (echoes === 7) setBackMs = 50
        void sleep(10).then(async () => frames.send(await answer(frame)))
      }),
      { clock },
    )
    // Timers of Node may fire a millisecond early.
    expect(result.minRttMs).toBeGreaterThan(8)
  })

  it('counts only for its anchor, node and time once the anchor has signed it', async () => {
    const result = await measure((stream) => {
      void serveEchoes(stream, parties(), node.identity.identity)
    })
    const signer = await createSigner(await generateSigningKey(false))
    const statement = {
      version: 1,
      nodeId: NodeId.parse(parties().nodeId),
      anchor: 'hub-test',
      anchorPeerId: NodeId.parse(parties().anchorPeerId),
      place: { lat: 50, lon: 8, slackKm: 0, isSimulated: true },
      transportRttMs: null,
      measuredAtMs: Date.now(),
      ...result,
    } as const
    await checkSignedEcho(await signEcho(statement, signer))
    const other = NodeId.parse((await network.connect()).libp2p.peerId.toString())
    const forged = await signEcho({ ...statement, anchorPeerId: other }, signer)
    await expect(checkSignedEcho(forged)).rejects.toMatchObject({ code: 'forbidden' })
    const changed = {
      ...(await signEcho(statement, signer)),
      statement: { ...statement, minRttMs: 0.1 },
    }
    await expect(checkSignedEcho(changed)).rejects.toMatchObject({ code: 'forbidden' })
  })
})

describe('[PL4] an echo that answers no request', () => {
  function recording() {
    const reasons: unknown[] = []
    const warn: Log['warn'] = (event, fields) => {
      if (event === 'echo.refused') reasons.push(fields?.['reason'])
    }
    return { reasons, log: { ...silentLog, warn } }
  }

  it('is refused and logged when repeated', async () => {
    const { reasons, log } = recording()
    let first: Frame | undefined
    const result = await measure(
      misbehave((frame, frames) => {
        void answer(frame).then((echoed) => {
          if (first === undefined) first = echoed
          else if (reasons.length < 2) frames.send(first)
          frames.send(echoed)
        })
      }),
      { log },
    )
    expect(reasons).toEqual(['replayed', 'replayed'])
    expect(result.samples).toBe(LIMITS.echoSamples)
  })

  it('is refused and logged when too late, and the measurement continues', async () => {
    const { reasons, log } = recording()
    const late: Frame[] = []
    const timers: (() => void)[] = []
    // Each timeout fires when the test says so.
    const clock = {
      nowMs: () => systemClock.nowMs(),
      after: (_ms: number, fire: () => void) => {
        timers.push(fire)
        return () => {}
      },
    }
    const result = await measure(
      misbehave((frame, frames) => {
        void answer(frame).then((echoed) => {
          if (late.length === 0) {
            late.push(echoed)
            timers.at(-1)?.()
            return
          }
          if (late.length === 1) {
            late.push(echoed)
            frames.send(late[0] ?? echoed)
          }
          frames.send(echoed)
        })
      }),
      { log, clock },
    )
    expect(reasons).toEqual(['late'])
    expect(result.samples).toBe(LIMITS.echoSamples - 1)
  })

  it('ends the stream when there are too many of them', async () => {
    const { reasons, log } = recording()
    const invented = misbehave((frame, frames) => {
      for (let n = 0; n <= ECHOES_REFUSED; n += 1)
        frames.send({ ...frame, kind: 'echoed', body: randomBytes(96) })
    })
    await expect(measure(invented, { log })).rejects.toMatchObject({ code: 'invalid_request' })
    expect(reasons).toEqual(Array.from({ length: ECHOES_REFUSED + 1 }, () => 'unknown'))
  })

  it('[PL5] is forged when another key has signed it: the measurement ends as forbidden', async () => {
    const stranger = await newIdentity()
    const forge = misbehave((frame, frames) => {
      void answerEcho(frame, parties(), stranger).then((echoed) => frames.send(echoed))
    })
    await expect(measure(forge)).rejects.toMatchObject({ code: 'forbidden' })
  })

  it('[PL5] is forged when it was signed for another anchor', async () => {
    const elsewhere = { ...parties(), anchorPeerId: parties().nodeId }
    const forge = misbehave((frame, frames) => {
      void answerEcho(frame, elsewhere, node.identity.identity).then((echoed) =>
        frames.send(echoed),
      )
    })
    await expect(measure(forge)).rejects.toMatchObject({ code: 'forbidden' })
  })
})
