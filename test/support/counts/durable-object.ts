/** The one part of `cloudflare:workers` that the Durable Objects use, so that plain Node can load their classes. */

export class DurableObject {
  readonly ctx: unknown
  readonly env: unknown

  constructor(ctx: unknown, env: unknown) {
    this.ctx = ctx
    this.env = env
  }
}
