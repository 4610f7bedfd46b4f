/** A signing key from a file, as a private JWK. */
import { readFile } from 'node:fs/promises'
import { AppError } from '#shared/base/errors.ts'
import { fileFault } from '#shared/base/file-fault.ts'
import { createSigner, importSigningKey, type Signer } from '#shared/proof/signature.ts'

/** @throws {AppError} invalid_request where the file cannot be read */
export async function readSigner(path: string): Promise<Signer> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new AppError('invalid_request', `The key file ${path} ${fileFault(cause)}.`, { cause })
  })
  return createSigner(await importSigningKey(text))
}
