/**
 * js-libp2p's noise looks for another message after each one, and finds the end by an exception. A new error records the
 * stack, which costs as much as opening a short message, so one error serves all.
 */
import type { ConnectionEncrypter } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'

/** Fields of noise's stream that its interface does not show. */
interface NoiseStream {
  readonly decoder: { lengthDecoder: (data: Uint8ArrayList) => number }
}

const LENGTH_BYTES = 2
const TOO_SHORT = new RangeError('The length of a message has two bytes.')

/** Changes the streams that this encrypter makes. Streams without these fields are left alone. */
export function withQuickLengths(encrypter: ConnectionEncrypter): ConnectionEncrypter {
  const secureInbound = encrypter.secureInbound.bind(encrypter)
  const secureOutbound = encrypter.secureOutbound.bind(encrypter)
  encrypter.secureInbound = async (connection, options) => {
    const secured = await secureInbound(connection, options)
    readLengthsQuickly(secured.connection)
    return secured
  }
  encrypter.secureOutbound = async (connection, options) => {
    const secured = await secureOutbound(connection, options)
    readLengthsQuickly(secured.connection)
    return secured
  }
  return encrypter
}

function readLengthsQuickly(stream: object): void {
  if (!isNoise(stream)) return
  stream.decoder.lengthDecoder = (data) => {
    if (data.byteLength < LENGTH_BYTES) throw TOO_SHORT
    return data.getUint16(0)
  }
}

function isNoise(stream: object): stream is NoiseStream {
  if (!('decoder' in stream)) return false
  const { decoder } = stream
  return typeof decoder === 'object' && decoder !== null && 'lengthDecoder' in decoder
}
