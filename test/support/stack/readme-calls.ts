/** Turns the calls of the README into a program against a client generated from the API's description. */

interface Call {
  readonly method: string
  readonly path: string
  /** JSON, as the README has it. */
  readonly body: string | undefined
}

/** Every `curl` call of the README to the API, and the requests of its JavaScript. */
export function readmeProgram(readme: string, paths: readonly string[]): string {
  const calls = shellCalls(readme).map((call, index) => writeCall(call, { index, paths }))
  const [chat = '', embeddings = ''] = ['chat.completions', 'embeddings'].map(
    (name) => new RegExp(`client\\.${name}\\.create\\((\\{[\\s\\S]*?\\n\\})\\)`).exec(readme)?.[1],
  )
  return [
    "import createClient from 'openapi-fetch'",
    "import type { paths } from './schema.d.ts'",
    "const client = createClient<paths>({ baseUrl: 'http://127.0.0.1:8787' })",
    ...calls,
    `const chat = await client.POST('/v1/chat/completions', { body: ${chat} })`,
    'export const text: string | undefined = chat.data?.choices[0]?.message.content',
    `const made = await client.POST('/v1/embeddings', { body: ${embeddings} })`,
    'export const size: number | undefined = made.data?.data[0]?.embedding.length',
    'export const said: string | undefined = made.error?.detail',
  ].join('\n')
}

function shellCalls(readme: string): Call[] {
  const text = readme.replaceAll('\\\n', ' ')
  return [...text.matchAll(/(?:echo '([^\n]*)' \|\s*)?curl ((?:[^'\n]|'[^']*')*)/g)].flatMap(
    ([, piped, command = '']) => {
      const path = /\$URL(\/\S+)/.exec(command)?.[1]
      if (path === undefined) return []
      const given = /-d '([^']*)'/.exec(command)?.[1]
      // A shell substitution is replaced by some text.
      const body = given ?? piped?.replaceAll(/'\$\([^)]*\)'/g, 'AAAA')
      const method = /-X (\w+)/.exec(command)?.[1] ?? (body === undefined ? 'GET' : 'POST')
      return [{ method, path, body }]
    },
  )
}

function writeCall(
  { method, path, body }: Call,
  { index, paths }: { readonly index: number; readonly paths: readonly string[] },
): string {
  const parts = path.split('/')
  const fits = (template: string) => {
    const names = template.split('/')
    return (
      names.length === parts.length &&
      names.every((name, i) => name.startsWith('{') || name === parts[i])
    )
  }
  const template = paths.includes(path) ? path : (paths.find(fits) ?? path)
  const values = template
    .split('/')
    .flatMap((name, i) => (name.startsWith('{') ? [`${name.slice(1, -1)}: '${parts[i]}'`] : []))
  const options = [
    ...(values.length > 0 ? [`params: { path: { ${values.join(', ')} } }`] : []),
    ...(body === undefined ? [] : [`body: ${body}`]),
  ]
  return `export const call${index} = await client.${method}('${template}', { ${options.join(', ')} })`
}
