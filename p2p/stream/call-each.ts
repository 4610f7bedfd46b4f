/** Calls all of them, even if one throws. @throws what the first one threw, after all were called */
export function callEach(calls: Iterable<() => void>): void {
  const failures: unknown[] = []
  for (const call of calls) {
    try {
      call()
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length > 0) throw failures[0] as Error
}
