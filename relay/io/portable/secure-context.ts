import { constants } from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'
import type { TlsMaterial } from '../io.ts'
import { ticketKey } from '../ticket-key.ts'

/** As Node takes them: name, HMAC key and AES key. */
const TICKET_KEY_BYTES = 48

/** How the relay speaks TLS: 1.2 or newer, and never a second handshake, which would cost it more than the client. */
export function secureContext({ cert, key, ticketSecret }: TlsMaterial): SecureContext {
  return createSecureContext({
    cert,
    key,
    minVersion: 'TLSv1.2',
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    ...(ticketSecret !== undefined && { ticketKeys: Buffer.from(ticketKey(ticketSecret, TICKET_KEY_BYTES)) }),
  })
}
