/** A client of `/v1/sessions` over a real WebSocket, which resends steps when the server asks for it. */
import WebSocket from 'ws'
import { ERRORS } from '#shared/base/errors.ts'
import { ServerMessage, type OpenMessage, type StepMessage } from '#worker/hub/session/messages.ts'
import type { z } from 'zod'

export interface SessionClient {
  readonly messages: readonly ServerMessage[]
  /** Sends one step and waits for its result; sends it again after a move. */
  step(inputs: StepMessage['inputs']): Promise<ServerMessage & { type: 'result' }>
  /** Close code and reason, once closed. */
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>
  close(): void
}

/** Before the steps of a retryable error are sent again. */
const RETRY_MS = 250

const isRetryable = (code: string): boolean =>
  Object.entries(ERRORS).some(([known, { retryable }]) => known === code && retryable)

type Result = ServerMessage & { type: 'result' }

export interface SessionOptions {
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly protocols?: readonly string[]
}

/** @throws {Error} when the server refuses the WebSocket, with its status and body */
export async function openSession(
  { url, headers = {}, protocols = [] }: SessionOptions,
  open: Omit<z.input<typeof OpenMessage>, 'type'>,
): Promise<SessionClient> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}`, [...protocols], { headers })
  const messages: ServerMessage[] = []
  const steps: StepMessage[] = []
  const waiting = new Map<number, (result: Result) => void>()
  const closed = new Promise<{ code: number; reason: string }>((resolve) =>
    socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() })),
  )
  const sendFrom = (first: number) => {
    if (socket.readyState !== WebSocket.OPEN) return
    for (const step of steps.slice(first - 1))
      socket.send(JSON.stringify({ ...step, received: messages.length }))
  }
  socket.on('message', (data: Buffer) => {
    const message = ServerMessage.parse(JSON.parse(data.toString()))
    messages.push(message)
    if (message.type === 'result') waiting.get(message.step)?.(message)
    if (message.type === 'moved') sendFrom(message.resumeFrom)
    // A retryable error leaves the session open, and the steps from this one on are sent again.
    if (message.type === 'error' && message.step !== null && isRetryable(message.error.code))
      setTimeout(sendFrom, RETRY_MS, message.step)
  })
  await new Promise<void>((resolve, reject) => {
    socket.once('open', () => resolve())
    socket.once('error', reject)
    socket.once('unexpected-response', (_request, response) => {
      let body = ''
      response.on('data', (part: Buffer) => (body += part.toString()))
      response.once('end', () => reject(new Error(`${response.statusCode} ${body}`)))
    })
  })
  socket.send(JSON.stringify({ type: 'open', ...open }))
  return {
    messages,
    closed,
    step(inputs) {
      const message: StepMessage = { type: 'step', step: steps.length + 1, inputs }
      steps.push(message)
      socket.send(JSON.stringify({ ...message, received: messages.length }))
      return new Promise<Result>((resolve, reject) => {
        waiting.set(message.step, resolve)
        void closed.then(({ reason }) =>
          reject(new Error(`closed: ${reason}, after ${JSON.stringify(messages.at(-1))}`)),
        )
      })
    },
    close: () => socket.close(),
  }
}
