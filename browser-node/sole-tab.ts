/** Lets one tab of a browser at a time be the node, because all its tabs share the identity in IndexedDB. */

const LOCK = 'littoral-node'

/**
 * Resolves when this tab holds the lock, which it keeps until it closes.
 * @param onHeldElsewhere called once, before the wait, when another tab holds the lock
 */
export async function becomeSoleTab(onHeldElsewhere: () => void): Promise<void> {
  const { locks } = navigator
  const { promise, resolve } = Promise.withResolvers<void>()
  const hold = () => {
    resolve()
    // The browser releases the lock when the tab closes or crashes.
    return new Promise<never>(() => {})
  }
  void locks.request(LOCK, { ifAvailable: true }, (lock) => {
    if (lock !== null) return hold()
    onHeldElsewhere()
    void locks.request(LOCK, hold)
    return undefined
  })
  await promise
}
