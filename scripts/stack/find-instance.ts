/** Finds the instance and the operator key for an operator's command. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { AppError } from '#shared/base/errors.ts'
import { readDevInstance } from './dev-instance.ts'
import { repositoryPath } from '#scripts/base/paths.ts'

interface Instance {
  readonly url: string
  readonly key: string
}

const Served = z.looseObject({ url: z.string(), OPERATOR_KEY: z.string() })

/** Flags and environment come before the file of a running instance. @throws {AppError} invalid_request where there is none */
export async function findInstance(flags: {
  readonly url?: string | undefined
  readonly state?: string | undefined
}): Promise<Instance> {
  const instance = flags.state === undefined ? await fromDevFile() : fromState(flags.state)
  const url = flags.url ?? instance?.url
  const key = process.env['OPERATOR_KEY'] ?? instance?.key
  if (url !== undefined && key !== undefined) return { url: url.replace(/\/$/, ''), key }
  throw new AppError(
    'invalid_request',
    'No instance: give --url and OPERATOR_KEY, or --state, or run npm start first.',
  )
}

async function fromDevFile(): Promise<Instance | undefined> {
  const instance = await readDevInstance()
  const key = z.string().safeParse(instance?.['operatorKey'])
  return instance === undefined || !key.success ? undefined : { url: instance.url, key: key.data }
}

function fromState(state: string): Instance | undefined {
  const path = join(existsSync(state) ? state : repositoryPath(state), 'instance.json')
  if (!existsSync(path)) return undefined
  const { url, OPERATOR_KEY: key } = Served.parse(JSON.parse(readFileSync(path, 'utf8')))
  return { url, key }
}
