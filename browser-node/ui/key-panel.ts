/** The key controls: save the keys to a file, restore them, and show whether the browser promised to keep them. */
import { toAppError } from '#shared/base/errors.ts'
import { readKeyFile, writeKeyFile } from './key-file.ts'
import { withStorage } from '../node/storage.ts'
import { element, setText } from './elements.ts'

const FILE_NAME = 'littoral-node-key.json'
const NO_KEY = 'This browser has no key yet. The first start creates one.'
const REPLACES =
  'This browser already has a key. Save it first, then choose the file again to replace it.'

export interface KeyPanelOptions {
  /** Called after this browser's keys were replaced; a running node still has the old ones. */
  readonly onBrought: (nodeId: string) => void
}

export function createKeyPanel({ onBrought }: KeyPanelOptions) {
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
    say(`Saved as ${FILE_NAME}. Anyone who has this file can take the node’s earnings.`)
  }
  const bringKey = async (file: File) => {
    // Validate the file before asking about replacing a key.
    const keys = await readKeyFile(await file.text())
    await withStorage(async (storage) => {
      if ((await storage.readIdentity()) !== undefined && !mayReplace) {
        mayReplace = true
        return say(REPLACES)
      }
      await keys.keep(storage)
      mayReplace = false
      onBrought(keys.nodeId)
      say('The key is restored. The next start uses it.')
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
        : 'the key and the models, but the browser may delete them when the disk is full',
    )
  void navigator.storage?.persisted().then(show)
  return {
    /** A running node holds its key, so no other key can be restored meanwhile. */
    setRunning(isRunning: boolean) {
      bring.disabled = isRunning
    },
    /** Asks the browser to keep the stored data, and shows its answer. */
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
