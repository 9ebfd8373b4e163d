import { execFileSync } from 'node:child_process'

/** Names that no other run has. */
const names = (['server', 'nat', 'client'] as const).map((place) => [place, `tf-nat-${process.pid}-${place}`])
const NAMESPACES = Object.fromEntries(names) as Record<'server' | 'nat' | 'client', string>

/** A server with two addresses, a NAT in front of the client, each in a network namespace of its own. */
export class NatNamespaces {
  readonly serverAddresses = ['10.213.1.1', '10.213.1.2'] as const

  constructor() {
    for (const name of Object.values(NAMESPACES)) ip('netns', 'add', name)
    link('server', 'nat', 'outside')
    link('client', 'nat', 'inside')
    for (const address of this.serverAddresses) address24('server', 'outside', address)
    address24('nat', 'outside', '10.213.1.254')
    address24('nat', 'inside', '10.213.2.254')
    address24('client', 'inside', '10.213.2.1')
    ip('-n', NAMESPACES.client, 'route', 'add', 'default', 'via', '10.213.2.254')
    execFileSync('ip', [...inside('nat'), 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward'])
  }

  /** Has the NAT translate so from now on: an expression of nftables. */
  translate(statement: string): void {
    const chain = `type nat hook postrouting priority srcnat; oifname "outside" ${statement};`
    const rules = `table ip nat; delete table ip nat; table ip nat { chain out { ${chain} }; }`
    execFileSync('ip', [...inside('nat'), 'nft', '-f', '-'], { input: rules })
  }

  /** What runs a command in a place. */
  at(place: 'server' | 'client'): string[] {
    return ['ip', ...inside(place)]
  }

  remove(): void {
    for (const name of Object.values(NAMESPACES)) ip('netns', 'del', name)
  }
}

function inside(place: keyof typeof NAMESPACES): string[] {
  return ['netns', 'exec', NAMESPACES[place]]
}

function link(one: keyof typeof NAMESPACES, other: keyof typeof NAMESPACES, name: string): void {
  const ends = ['netns', NAMESPACES[one], 'type', 'veth', 'peer', 'name', name, 'netns', NAMESPACES[other]]
  ip('link', 'add', name, ...ends)
}

function address24(place: keyof typeof NAMESPACES, device: string, address: string): void {
  ip('-n', NAMESPACES[place], 'addr', 'add', `${address}/24`, 'dev', device)
  for (const each of [device, 'lo']) ip('-n', NAMESPACES[place], 'link', 'set', each, 'up')
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'] })
}
