/** The owner's hand on the node's keys: whether the browser promised to keep them, saved to a file, brought back from one. */
import { toAppError } from '#shared/base/errors.ts'
import { readKeyFile, writeKeyFile } from './key-file.ts'
import { withStorage } from '../node/storage.ts'
import { element, setText } from './elements.ts'

const FILE_NAME = 'littoral-node-key.json'
const NO_KEY = 'This browser has no key yet: it is made at the first start.'
const REPLACES =
  'This browser has a key already. Save that one first; then choose the file again to put it in its place.'

export interface KeyPanelOptions {
  /** Another key is this browser's now: what runs has the old one. */
  readonly onBrought: (nodeId: string) => void
}

export interface KeyPanel {
  /** A running node holds its key, so no other is brought in then. */
  setRunning(isRunning: boolean): void
  /** Asks the browser to keep what is stored here, and shows its answer. */
  askToKeep(): Promise<void>
}

export function createKeyPanel({ onBrought }: KeyPanelOptions): KeyPanel {
  const save = element('save-key', HTMLButtonElement)
  const bring = element('bring-key', HTMLInputElement)
  const note = element('key-note', HTMLElement)
  let mayReplace = false
  const say = (text: string) => {
    note.hidden = false
    setText(note, text)
  }
  const tell = (work: Promise<void>) =>
    void work.catch((error: unknown) => say(toAppError(error).detail))

  const saveKey = async () => {
    const text = await withStorage(writeKeyFile)
    if (text === undefined) return say(NO_KEY)
    offer(text)
    say(`Saved as ${FILE_NAME}. Whoever has this file can take what the node earns.`)
  }
  const bringKey = async (file: File) => {
    // Judged before anything is said of replacing, and before anything is replaced.
    const keys = await readKeyFile(await file.text())
    await withStorage(async (storage) => {
      if ((await storage.readIdentity()) !== undefined && !mayReplace) {
        mayReplace = true
        return say(REPLACES)
      }
      await keys.keep(storage)
      mayReplace = false
      onBrought(keys.nodeId)
      say('The key is back. The next start uses it.')
    })
  }
  save.addEventListener('click', () => tell(saveKey()))
  bring.addEventListener('change', () => {
    const [file] = bring.files ?? []
    if (file !== undefined) tell(bringKey(file).finally(() => (bring.value = '')))
  })
  const show = (isKept: boolean) =>
    setText(
      element('kept', HTMLElement),
      isKept
        ? 'the key and the models, until you clear this site’s data'
        : 'the key and the models, as long as the disk has room: the browser has not promised more',
    )
  void navigator.storage?.persisted().then(show)
  return {
    setRunning(isRunning) {
      bring.disabled = isRunning
    },
    async askToKeep() {
      show(await navigator.storage.persist())
    },
  }
}

function offer(text: string): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob([text], { type: 'application/json' }))
  link.download = FILE_NAME
  link.click()
  URL.revokeObjectURL(link.href)
}
