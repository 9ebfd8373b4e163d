import { type AddressFamily, TransportAddress } from './address.ts'

const ZERO = 48
const GROUPS = 8
/** Longest text of an IPv6 address, with an IPv4 tail: `ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255`. */
const TEXT_MAX = 45

/** Reused: parsing is synchronous. */
const groups = new Uint16Array(GROUPS)

/** The address of an IP literal (no brackets, no zone), or undefined when the text is none. */
export function parseAddress(text: string, port: number): TransportAddress | undefined {
  const address = new TransportAddress()
  return parseAddressInto(text, port, address) ? address : undefined
}

/** Like `parseAddress`, into an address that is there already, without allocating; false when the text is no IP literal. */
export function parseAddressInto(text: string, port: number, into: TransportAddress): boolean {
  if (text.length > TEXT_MAX) return false
  if (!text.includes(':')) {
    const ip = parseIpv4(text, 0, text.length)
    if (ip < 0) return false
    into.set4(ip, port)
    return true
  }
  if (!parseGroups(text)) return false
  into.set6(word(0), word(2), word(4), word(6), port)
  return true
}

/** The family of an IP literal, or undefined when the text is none. */
export function ipFamily(text: string): AddressFamily | undefined {
  return parseAddress(text, 0)?.family
}

/** The IP as text: dotted, or as RFC 5952 writes IPv6. */
export function formatIp(address: TransportAddress): string {
  const { w0, w1, w2, w3 } = address
  if (address.family === 4) return dotted(w3)
  if (w0 === 0 && w1 === 0 && w2 === 0xffff) return `::ffff:${dotted(w3)}`
  return formatGroups([w0, w1, w2, w3].flatMap((value) => [value >>> 16, value & 0xffff]))
}

/** The IP and the port as text: `192.0.2.1:3478`, `[2001:db8::1]:3478`. */
export function formatAddress(address: TransportAddress): string {
  const ip = formatIp(address)
  return address.family === 4 ? `${ip}:${address.port}` : `[${ip}]:${address.port}`
}

function word(group: number): number {
  return ((groups[group]! << 16) | groups[group + 1]!) >>> 0
}

/** The value of the dotted IPv4 address that is `text[from, to)`, or -1; leading zeros are refused. */
function parseIpv4(text: string, from: number, to: number): number {
  let ip = 0
  let at = from
  for (let octet = 0; octet < 4; octet++) {
    let end = text.indexOf('.', at)
    if (end < 0 || end > to) end = to
    if ((octet === 3) !== (end === to)) return -1
    const value = parseOctet(text, at, end)
    if (value < 0) return -1
    ip = ip * 256 + value
    at = end + 1
  }
  return ip
}

function parseOctet(text: string, from: number, to: number): number {
  const length = to - from
  if (length < 1 || length > 3 || (length > 1 && text.charCodeAt(from) === ZERO)) return -1
  let value = 0
  for (let i = from; i < to; i++) {
    const digit = text.charCodeAt(i) - ZERO
    if (digit < 0 || digit > 9) return -1
    value = value * 10 + digit
  }
  return value > 255 ? -1 : value
}

/** Fills `groups` from the text of an IPv6 address. */
function parseGroups(text: string): boolean {
  const gap = text.indexOf('::')
  if (gap < 0) return parseRun(text, 0, text.length, 0) === GROUPS
  const head = gap === 0 ? 0 : parseRun(text, 0, gap, 0)
  if (head < 0) return false
  const tail = gap + 2 === text.length ? head : parseRun(text, gap + 2, text.length, head)
  return tail >= 0 && expandGap(tail, head)
}

/** Reads `text[from, to)`, groups between colons, the last perhaps IPv4, into `groups` from `count` on; the new count or -1. */
function parseRun(text: string, from: number, to: number, count: number): number {
  let at = from
  let next = count
  while (at <= to) {
    let end = text.indexOf(':', at)
    if (end < 0 || end > to) end = to
    if (end === to && to === text.length && end - at > 4) return parseIpv4Tail(text, at, next)
    const group = next < GROUPS ? parseHex(text, at, end) : -1
    if (group < 0) return -1
    groups[next++] = group
    at = end + 1
  }
  return next
}

function parseIpv4Tail(text: string, at: number, count: number): number {
  const ip = parseIpv4(text, at, text.length)
  if (ip < 0 || count + 2 > GROUPS) return -1
  groups[count] = Math.floor(ip / 65536)
  groups[count + 1] = ip % 65536
  return count + 2
}

/** Puts zeros where `::` stood; it stands for one group or more. */
function expandGap(count: number, gap: number): boolean {
  if (count === GROUPS) return false
  const tail = count - gap
  groups.copyWithin(GROUPS - tail, gap, count)
  groups.fill(0, gap, GROUPS - tail)
  return true
}

/** The value of one to four hexadecimal digits, or -1. */
function parseHex(text: string, from: number, to: number): number {
  if (to - from < 1 || to - from > 4) return -1
  let value = 0
  for (let i = from; i < to; i++) {
    const digit = hexDigit(text.charCodeAt(i))
    if (digit < 0) return -1
    value = value * 16 + digit
  }
  return value
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48
  const letter = (code | 0x20) - 97
  return letter >= 0 && letter <= 5 ? letter + 10 : -1
}

function dotted(ip: number): string {
  return `${ip >>> 24}.${(ip >>> 16) & 255}.${(ip >>> 8) & 255}.${ip & 255}`
}

/** RFC 5952 §4: lower case, no leading zeros, `::` for the longest run of two zero groups or more, the first of equals. */
function formatGroups(values: readonly number[]): string {
  let bestStart = -1
  let bestLength = 1
  for (let start = 0; start < values.length; start++) {
    let end = start
    while (end < values.length && values[end] === 0) end++
    if (end - start > bestLength) {
      bestStart = start
      bestLength = end - start
    }
  }
  const hex = values.map((value) => value.toString(16))
  if (bestStart < 0) return hex.join(':')
  return `${hex.slice(0, bestStart).join(':')}::${hex.slice(bestStart + bestLength).join(':')}`
}
