import { command, shell } from './command.ts'

/**
 * An internet on one machine: the network namespace of this process holds a bridge, and every host is a
 * namespace on it. Run it inside `test/e2e/run`, which gives the tests a namespace of their own.
 */

export const INTERNET = '203.0.113.0/24'

/** Makes the bridge and gives this process's namespace its addresses on it. */
export async function createInternet(addresses: string[]): Promise<void> {
  await shell(`
    ip link set lo up
    ip link add br0 type bridge
    ${addresses.map((address) => `ip addr add ${address}/24 dev br0`).join('\n')}
    ip link set br0 up`)
}

/** A host on the internet with a public address. */
export async function addHost(name: string, address: string): Promise<string> {
  const ns = await plug(name)
  await shell(`
    ip -n ${ns} addr add ${address}/24 dev wan
    ip -n ${ns} route add default via 203.0.113.1`)
  return ns
}

export interface Nat {
  /** Namespace of the client behind the NAT. */
  client: string
  /** The client's private address. */
  address: string
  /** Namespace of the NAT itself. */
  router: string
}

/**
 * A client behind a NAT of its own whose mapping and filtering depend on address and port (RFC 4787: the
 * "symmetric" one). With `webOnly` its firewall lets out nothing but TCP to ports 80 and 443, and on 443 only TLS.
 */
export async function addNat(
  name: string,
  { address, lan, webOnly }: { address: string; lan: string; webOnly: boolean },
): Promise<Nat> {
  const router = await plug(`nat-${name}`)
  const client = `tf-${name}`
  const gateway = `${lan}.1`
  const own = `${lan}.2`
  await shell(`
    ip netns add ${client}
    ip -n ${client} link set lo up
    ip -n ${router} addr add ${address}/24 dev wan
    ip link add lan netns ${router} type veth peer name eth0 netns ${client}
    ip -n ${router} link set lan up
    ip -n ${router} addr add ${gateway}/24 dev lan
    ip -n ${client} link set eth0 up
    ip -n ${client} addr add ${own}/24 dev eth0
    ip -n ${client} route add default via ${gateway}
    nsenter --net=/run/netns/${router} sysctl -qw net.ipv4.ip_forward=1
    nsenter --net=/run/netns/${router} nft -f - <<'RULES'
${NAT_RULES}
${webOnly ? WEB_ONLY_RULES : STATEFUL_RULES}
RULES`)
  return { client, address: own, router }
}

/** Packets that the firewall of a `webOnly` NAT has dropped, by protocol. */
export async function droppedPackets(router: string): Promise<{ udp: number; tcp: number }> {
  const rules = await command('nsenter', [`--net=/run/netns/${router}`, 'nft', 'list', 'ruleset'])
  const count = (protocol: string) =>
    Number(new RegExp(`meta l4proto ${protocol} counter packets (\\d+)`).exec(rules)?.[1] ?? 0)
  return { udp: count('udp'), tcp: count('tcp') }
}

const NAT_RULES = `table ip nat {
  chain post {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "wan" masquerade random,fully-random
  }
}`

const STATEFUL_RULES = `table inet firewall {
  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname "wan" ct state established,related accept
    iifname "wan" drop
  }
}`

const WEB_ONLY_RULES = `table inet firewall {
  chain forward {
    type filter hook forward priority filter; policy drop;
    iifname "lan" tcp dport 443 meta length > 80 ct mark 0 @ih,0,8 != 0x16 counter reject with tcp reset
    iifname "lan" tcp dport 443 meta length > 80 ct mark 0 @ih,0,8 0x16 ct mark set 1
    ct state established,related accept
    iifname "lan" tcp dport { 80, 443 } ct state new accept
    iifname "lan" meta l4proto udp counter drop
    iifname "lan" meta l4proto tcp counter drop
  }
}`

/** Makes the namespace `tf-NAME` with an interface "wan" on the bridge. */
async function plug(name: string): Promise<string> {
  const ns = `tf-${name}`
  await shell(`
    ip netns add ${ns}
    ip -n ${ns} link set lo up
    ip link add wan netns ${ns} type veth peer name p-${name}
    ip link set p-${name} master br0 up
    ip -n ${ns} link set wan up`)
  return ns
}
