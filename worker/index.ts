/** Entry point of the Worker: the HTTP handler and the Durable Object classes. */
import { DurableObject } from 'cloudflare:workers'

declare const __SIMULATED_PLACES__: boolean

export class Hub extends DurableObject {}
export class Tenant extends DurableObject {
  async hi() {
    this.ctx.storage.sql.exec('create table if not exists t(x)')
    this.ctx.storage.sql.exec('insert into t values (1)')
    return this.ctx.storage.sql.exec('select count(*) as c from t').one()
  }
}
export class Ledger extends DurableObject {}

export default {
  async fetch(request: Request, env: Env) {
    const url = new URL(request.url)
    if (url.pathname === '/asset') return env.ASSETS.fetch('http://x' + url.search.slice(1))
    const stub = env.TENANT.getByName('x') as unknown as { hi(): Promise<unknown> }
    return Response.json({ sim: __SIMULATED_PLACES__ ? 'simulated-code' : '', hi: await stub.hi(), cf: request.cf, j: env.JURISDICTION, h: [...request.headers] })
  },
}
