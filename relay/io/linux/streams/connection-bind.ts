import { CLASS, METHOD, messageType } from '../../../stun/methods.ts'

const CONNECTION_BIND = messageType(METHOD.ConnectionBind, CLASS.Request)

/** A request after which bytes may be none of frames (RFC 6062 §5.4). */
export function isConnectionBind(buffer: Uint8Array, offset: number): boolean {
  return buffer[offset] === CONNECTION_BIND >>> 8 && buffer[offset + 1] === (CONNECTION_BIND & 0xff)
}
