/** The allowed addresses of webhooks: public https, and in development builds this machine. */
import { isPrivateHost } from '#shared/base/private-host.ts'

export const WEBHOOK_URL_BYTES = 2_048

const LOOPBACK: readonly string[] = ['localhost', '127.0.0.1', '[::1]']

/** @returns what is wrong with the address, if anything. A name that resolves to a private address is refused by the network. */
export function webhookUrlFault(
  text: string,
  { loopback }: { readonly loopback: boolean },
): string | undefined {
  if (text.length > WEBHOOK_URL_BYTES) return `is over ${WEBHOOK_URL_BYTES} bytes`
  if (!URL.canParse(text)) return 'is not a URL'
  const url = new URL(text)
  if (url.username !== '' || url.password !== '') return 'must not contain a name or password'
  if (loopback && LOOPBACK.includes(url.hostname)) {
    return url.protocol === 'http:' || url.protocol === 'https:' ? undefined : 'must be http(s)'
  }
  if (url.protocol !== 'https:') return 'must be https'
  return isPrivateHost(url.hostname) ? `leads to ${url.hostname}, which is not public` : undefined
}
