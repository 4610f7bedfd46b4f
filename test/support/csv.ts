/** Reads CSV by RFC 4180 into rows of cells. */
export function parseCsv(text: string): string[][] {
  const rows: string[][] = [[]]
  for (const [, end = '', quoted, plain = ''] of text.matchAll(
    /(\r\n|,|^)(?:"((?:[^"]|"")*)"|([^",\r\n]*))/g,
  )) {
    if (end === '\r\n') rows.push([])
    rows.at(-1)?.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'))
  }
  return rows.filter((cells) => cells.some((cell) => cell !== ''))
}
