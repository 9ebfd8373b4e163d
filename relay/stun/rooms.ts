/** Bytes that must be writable before a payload: STUN header, IPv6 XOR-PEER-ADDRESS and DATA header of a Data indication (RFC 8656 §11.6: 20 + 24 + 4). */
export const HEAD_ROOM_BYTES = 48
/** Bytes that must be writable behind a payload: padding to a multiple of four (RFC 8489 §14). */
export const TAIL_ROOM_BYTES = 4
