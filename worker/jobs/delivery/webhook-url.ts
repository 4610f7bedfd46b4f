/** Which addresses a webhook may have: public https, and this machine in development builds only. */
import { LIMITS } from '#shared/base/limits.ts'
import { isPrivateHost } from '#shared/base/private-host.ts'

const LOOPBACK: readonly string[] = ['localhost', '127.0.0.1', '[::1]']

/** What is wrong with it; undefined when it may be called. Names that lead to private addresses are for the network to refuse. */
export function webhookUrlFault(
  text: string,
  { loopback }: { readonly loopback: boolean },
): string | undefined {
  if (text.length > LIMITS.webhookUrlBytes) return `is over ${LIMITS.webhookUrlBytes} bytes`
  if (!URL.canParse(text)) return 'is no URL'
  const url = new URL(text)
  if (url.username !== '' || url.password !== '') return 'must not hold a name or password'
  if (loopback && LOOPBACK.includes(url.hostname)) {
    return url.protocol === 'http:' || url.protocol === 'https:' ? undefined : 'must be http(s)'
  }
  if (url.protocol !== 'https:') return 'must be https'
  return isPrivateHost(url.hostname) ? `leads to ${url.hostname}, which is not public` : undefined
}
