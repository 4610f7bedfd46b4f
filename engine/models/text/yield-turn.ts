/** Lets the event loop turn: a run on wasm ends in a microtask, and sockets would starve between tokens. */

/** Resolves in a later task, without the delay of nested timers. */
export function yieldTurn(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const { port1, port2 } = new MessageChannel()
  port1.addEventListener('message', () => {
    port1.close()
    resolve()
  })
  port1.start()
  port2.postMessage(null)
  return promise
}
