/** Lints an OpenAPI document by Redocly's recommended rules and writes the types that openapi-typescript makes of it. */
import { createConfig, lint } from '@redocly/openapi-core'
import openapiTypescript, { astToString } from 'openapi-typescript'
import { readFileSync, writeFileSync } from 'node:fs'

const [source = '', target = ''] = process.argv.slice(2)
const config = await createConfig({ extends: ['recommended'] })
const errors = (await lint({ ref: source, config })).filter(({ severity }) => severity === 'error')
for (const { message, location } of errors)
  console.error(`${message} ${location[0]?.pointer ?? ''}`)
if (errors.length > 0) process.exit(1)
const types = await openapiTypescript(JSON.parse(readFileSync(source, 'utf8')))
writeFileSync(target, astToString(types))
