/** The node's data in IndexedDB: its keys, its owner's country, and the receipts that no hub has acknowledged. */
import { AppError } from '#shared/base/errors.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { SigningKeyPair } from '#shared/base/signature.ts'

export type KeptName = 'identity' | 'receiptKey' | 'claim'

export type NodeStorage = Awaited<ReturnType<typeof openStorage>>

/** @throws {AppError} internal when the browser stores nothing, as in private windows of some browsers */
export async function openStorage() {
  const database = await openDatabase()
  const lost = Promise.withResolvers<void>()
  database.addEventListener('close', () => lost.resolve())
  database.addEventListener('versionchange', () => {
    // A deletion waits until this connection is closed.
    database.close()
    lost.resolve()
  })
  const read = async (name: KeptName): Promise<unknown> =>
    await settled(database.transaction('kept').objectStore('kept').get(name))
  return {
    /** libp2p private key in protobuf form. */
    async readIdentity(): Promise<Uint8Array | undefined> {
      const value = await read('identity')
      return value instanceof Uint8Array ? value : undefined
    },
    async readReceiptKey(): Promise<SigningKeyPair | undefined> {
      const value = await read('receiptKey')
      return isKeyPair(value) ? value : undefined
    },
    async readClaim(): Promise<string | undefined> {
      const value = await read('claim')
      return typeof value === 'string' ? value : undefined
    },
    /** Resolves once the value is durable. */
    async keep(name: KeptName, value: unknown) {
      await write(database, 'kept', (kept) => kept.put(value, name))
    },
    /** @throws {AppError} no_capacity at LIMITS.receiptsKept */
    async putReceipts(group: readonly { readonly id: Bytes32; readonly stored: unknown }[]) {
      const count = await settled(database.transaction('receipts').objectStore('receipts').count())
      if (count + group.length > LIMITS.receiptsKept)
        throw new AppError('no_capacity', `${count} receipts wait for a hub; no more are kept.`)
      await write(database, 'receipts', (receipts) =>
        group.forEach(({ id, stored }) => receipts.put(stored, id)),
      )
    },
    async removeReceipts(ids: readonly Bytes32[]) {
      await write(database, 'receipts', (receipts) => ids.forEach((id) => receipts.delete(id)))
    },
    /** At most LIMITS.receiptsKept receipts, not validated. */
    async readReceipts(): Promise<unknown[]> {
      const receipts = database.transaction('receipts').objectStore('receipts')
      return await settled<unknown[]>(receipts.getAll(null, LIMITS.receiptsKept))
    },
    /** Resolves when the browser or another page has deleted the data. */
    lost: lost.promise,
    close: () => database.close(),
  }
}

/** Opens the storage for one use and closes it again. */
export async function withStorage<T>(use: (storage: NodeStorage) => Promise<T>): Promise<T> {
  const storage = await openStorage()
  try {
    return await use(storage)
  } finally {
    storage.close()
  }
}

function isKeyPair(value: unknown): value is SigningKeyPair {
  if (typeof value !== 'object' || value === null) return false
  const { privateKey, publicKey } = value as Partial<Record<string, unknown>>
  return privateKey instanceof CryptoKey && publicKey instanceof CryptoKey
}

function openDatabase(): Promise<IDBDatabase> {
  const { promise, resolve, reject } = Promise.withResolvers<IDBDatabase>()
  const request = indexedDB.open('littoral-node', 1)
  request.addEventListener('upgradeneeded', () => {
    request.result.createObjectStore('kept')
    request.result.createObjectStore('receipts')
  })
  request.addEventListener('success', () => resolve(request.result))
  request.addEventListener('error', () => {
    const detail = `This browser does not let the page keep its keys: ${request.error?.message ?? ''}`
    reject(new AppError('internal', detail, { cause: request.error }))
  })
  request.addEventListener('blocked', () => {
    reject(new AppError('internal', 'An older version of this page is open in another tab.'))
  })
  return promise
}

/** Waits for the transaction, not only for the request: a request that succeeded may still be rolled back. */
function write(
  database: IDBDatabase,
  store: string,
  change: (store: IDBObjectStore) => unknown,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const transaction = database.transaction(store, 'readwrite', { durability: 'strict' })
  const onFault = () => {
    const { error: cause } = transaction
    const detail = `The browser could not store the data: ${cause?.message ?? ''}`
    reject(new AppError('internal', detail, { cause }))
  }
  transaction.addEventListener('complete', () => resolve())
  for (const fault of ['error', 'abort']) transaction.addEventListener(fault, onFault)
  change(transaction.objectStore(store))
  return promise
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  request.addEventListener('success', () => resolve(request.result))
  request.addEventListener('error', () =>
    reject(new AppError('internal', 'The browser could not read.', { cause: request.error })),
  )
  return promise
}
