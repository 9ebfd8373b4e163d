/** IPv4 addresses that no peer may have unless the configuration names them: one or more of each special block. */
export const INTERNAL_IPV4 = [
  '0.0.0.0',
  '0.1.2.3',
  '10.0.0.1',
  '100.64.0.1',
  '100.100.100.200',
  '127.0.0.1',
  '127.255.255.254',
  '169.254.169.254',
  '172.16.0.1',
  '172.31.255.255',
  '192.0.0.1',
  '192.0.2.7',
  '192.88.99.1',
  '192.168.1.1',
  '198.18.0.1',
  '198.19.255.255',
  '198.51.100.1',
  '203.0.113.1',
  '224.0.0.1',
  '239.255.255.255',
  '240.0.0.1',
  '255.255.255.255',
]

/** The same of IPv6, those included that carry a public IPv4 address. */
export const INTERNAL_IPV6 = [
  '::',
  '::1',
  '::2',
  'fc00::1',
  'fd00:ec2::254',
  'fe80::1',
  'fec0::1',
  'ff02::1',
  'ff0e::1',
  '100::1',
  '2001::1',
  '2001:0:4136:e378:8000:63bf:3fff:fdd2',
  '2001:db8::5',
  '2002:808:808::1',
  '64:ff9b::808:808',
  '64:ff9b:1::808:808',
  '::ffff:8.8.8.8',
  '::8.8.8.8',
  '3fff::1',
  '4000::1',
  '5f00::1',
  '1::1',
]

/** Every way to write an IPv4 address inside an IPv6 one. */
export function disguises(v4: string): string[] {
  const [a, b, c, d] = v4.split('.').map(Number) as [number, number, number, number]
  const hi = ((a << 8) | b).toString(16)
  const lo = ((c << 8) | d).toString(16)
  const flip = (text: string) => (Number.parseInt(text, 16) ^ 0xffff).toString(16)
  return [
    `::ffff:${v4}`,
    `::${v4}`,
    `::ffff:0:${v4}`,
    `2002:${hi}:${lo}::1`,
    `64:ff9b::${v4}`,
    `64:ff9b:1::${v4}`,
    `64:ff9b:1:${hi}:${lo.padStart(4, '0').slice(0, 2)}:${lo.padStart(4, '0').slice(2)}00::`,
    `2001:0:${hi}:${lo}::1`,
    `2001:0:808:808:0:0:${flip(hi)}:${flip(lo)}`,
  ]
}
