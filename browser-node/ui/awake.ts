/** Keeps the screen on while the node works, if its owner wants that. Browsers release the lock of a hidden page. */
import { element } from './elements.ts'

export function createAwake() {
  const box = element('awake', HTMLInputElement)
  const isOffered = 'wakeLock' in navigator
  if (box.parentElement !== null) box.parentElement.hidden = !isOffered
  let isWorking = false
  let lock: WakeLockSentinel | undefined

  const settle = async () => {
    const wanted = isOffered && isWorking && box.checked && document.visibilityState === 'visible'
    if (!wanted) {
      const held = lock
      lock = undefined
      await held?.release()
    } else if (lock === undefined || lock.released) {
      // A browser may refuse, for instance on a low battery; then the screen turns off as usual.
      lock = await navigator.wakeLock.request('screen').catch(() => undefined)
    }
  }
  box.addEventListener('change', () => void settle())
  document.addEventListener('visibilitychange', () => void settle())
  return {
    set(working: boolean) {
      if (working === isWorking) return
      isWorking = working
      void settle()
    },
  }
}
