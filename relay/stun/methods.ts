/** STUN and TURN methods (RFC 8489 §18.2, RFC 8656 §17, RFC 6062 §6.1). */
export const METHOD = {
  Binding: 0x001,
  Allocate: 0x003,
  Refresh: 0x004,
  Send: 0x006,
  Data: 0x007,
  CreatePermission: 0x008,
  ChannelBind: 0x009,
  Connect: 0x00a,
  ConnectionBind: 0x00b,
  ConnectionAttempt: 0x00c,
} as const

/** STUN message classes (RFC 8489 §5). */
export const CLASS = { Request: 0, Indication: 1, Success: 2, Error: 3 } as const

/** One of CLASS. */
export type MessageClass = (typeof CLASS)[keyof typeof CLASS]

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(METHOD).map(([name, method]) => [method, name]),
)

/** The RFC's name of a method, or `unknown`: never text from the wire. */
export function methodName(method: number): string {
  return NAMES.get(method) ?? 'unknown'
}

/** The 14-bit message type of a method and a class (RFC 8489 §5). */
export function messageType(method: number, messageClass: MessageClass): number {
  return (
    ((method & 0xf80) << 2) |
    ((method & 0x070) << 1) |
    (method & 0x00f) |
    ((messageClass & 2) << 7) |
    ((messageClass & 1) << 4)
  )
}

/** The method in a message type. */
export function methodOf(type: number): number {
  return ((type & 0x3e00) >> 2) | ((type & 0x00e0) >> 1) | (type & 0x000f)
}

/** The class in a message type. */
export function classOf(type: number): MessageClass {
  return (((type & 0x0100) >> 7) | ((type & 0x0010) >> 4)) as MessageClass
}
