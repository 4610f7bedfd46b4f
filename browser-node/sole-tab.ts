/** One tab of a browser at a time may be the node: the identity in IndexedDB is theirs together. */

const LOCK = 'littoral-node'

/**
 * Resolves when this tab is the node's only one, and stays so until the tab ends.
 * @param onHeldElsewhere called once when another tab has it, before the wait
 */
export async function becomeSoleTab(
  onHeldElsewhere: () => void,
  locks: LockManager = navigator.locks,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const hold = () => {
    resolve()
    // Held for as long as the tab lives: the browser lets go of it when the tab ends, however it ends.
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
