/** Paths in this repository. */
import { fileURLToPath } from 'node:url'

export function repositoryPath(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url))
}
