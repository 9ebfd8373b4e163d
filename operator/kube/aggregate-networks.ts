/** A block of addresses as a number and a prefix length. */
interface Block {
  readonly bits: 32 | 128
  readonly base: bigint
  readonly prefix: number
}

/** The fewest CIDRs that hold exactly what these hold; what is none is left out. */
export function aggregateNetworks(cidrs: readonly string[]): string[] {
  const blocks = cidrs.flatMap((cidr) => parseBlock(cidr) ?? [])
  blocks.sort((a, b) => a.bits - b.bits || compare(a.base, b.base) || a.prefix - b.prefix)
  const kept: Block[] = []
  for (const block of blocks) {
    const last = kept.at(-1)
    if (last && contains(last, block)) continue
    kept.push(block)
    mergeLast(kept)
  }
  return kept.map(formatBlock)
}

/** Two halves of one block become that block. */
function mergeLast(kept: Block[]): void {
  for (;;) {
    const [a, b] = kept.slice(-2)
    if (!a || !b || a.bits !== b.bits || a.prefix !== b.prefix || a.prefix === 0) return
    const whole = { ...a, prefix: a.prefix - 1 }
    if (!contains(whole, a) || start(whole) !== a.base || !contains(whole, b)) return
    kept.splice(-2, 2, whole)
  }
}

function contains(outer: Block, inner: Block): boolean {
  return (
    outer.bits === inner.bits &&
    outer.prefix <= inner.prefix &&
    start({ ...inner, prefix: outer.prefix }) === start(outer)
  )
}

/** Its first address. */
function start({ bits, base, prefix }: Block): bigint {
  const free = BigInt(bits - prefix)
  return (base >> free) << free
}

function parseBlock(text: string): Block | undefined {
  const [address = '', length] = text.split('/')
  const bits = address.includes(':') ? 128 : 32
  const base = bits === 128 ? parseIpv6(address) : parseIpv4(address)
  const prefix = length === undefined ? bits : Number(length)
  if (base === undefined || !Number.isInteger(prefix) || prefix < 0 || prefix > bits) return undefined
  return { bits, base: start({ bits, base, prefix }), prefix }
}

function parseIpv4(text: string): bigint | undefined {
  if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) return undefined
  return text.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n)
}

function parseIpv6(text: string): bigint | undefined {
  const [left = '', right, more] = text.split('::')
  const groups = (part: string | undefined): string[] => (part ? part.split(':') : [])
  const missing = 8 - groups(left).length - groups(right).length
  if (more !== undefined || missing < 0 || (right === undefined && missing > 0)) return undefined
  const all = [...groups(left), ...Array<string>(missing).fill('0'), ...groups(right)]
  if (!all.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined
  return all.reduce((sum, group) => sum * 65_536n + BigInt(`0x${group}`), 0n)
}

function formatBlock({ bits, base, prefix }: Block): string {
  const [unit, count, radix, separator] =
    bits === 32 ? ([8n, 4, 10, '.'] as const) : ([16n, 8, 16, ':'] as const)
  const parts = Array.from({ length: count }, (_, i) =>
    ((base >> (unit * BigInt(count - 1 - i))) & ((1n << unit) - 1n)).toString(radix),
  )
  return `${parts.join(separator)}/${prefix}`
}

function compare(a: bigint, b: bigint): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
