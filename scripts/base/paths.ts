/** Where things of this repository lie on disk. */
import { fileURLToPath } from 'node:url'

/** Absolute path of something in the repository. */
export function repositoryPath(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url))
}
