import { execFileSync } from 'node:child_process'
import { setChecksumOffload } from '../../relay/io/linux/testing/checksum-offload.ts'
import { inNamespace } from '../../relay/io/linux/testing/network-namespace.ts'

/** Where the server and the load generator run, and how a command is brought there. */
export interface BenchNetwork {
  readonly description: string
  readonly serverAddress: string
  readonly generatorAddress: string
  readonly serverCore: number
  /** The command line that runs `command` beside the server or the generator, on a core of its own. */
  at(place: 'server' | 'generator', command: readonly string[]): string[]
  remove(): void
}

const CORES = { server: 0, generator: 1 }
const NAMESPACES = { server: 'tf-bench-srv', generator: 'tf-bench-gen' }
const ADDRESSES = { server: '10.211.47.1', generator: '10.211.47.2' }

/**
 * Two network namespaces and a veth pair with an MTU of 1500: on loopback the receiver's work is done in the
 * sender's system call, without checksums, and the CPU time would be charged to the wrong process. With `wire`,
 * what the generator sends is cut into single packets and their checksums are worked out before they arrive. With
 * `steer`, each side's core does all the work on what arrives there, as with a network card of its own; without, the
 * sender's core does that work up to the socket, for every server alike.
 */
export function benchNetwork({ wire = false, steer = false } = {}): BenchNetwork {
  return process.getuid?.() === 0 ? namespaces(wire, steer) : loopback()
}

function namespaces(wire: boolean, steer: boolean): BenchNetwork {
  removeNamespaces()
  const places = ['server', 'generator'] as const
  for (const place of places) ip('netns', 'add', NAMESPACES[place])
  ip(
    'link',
    'add',
    'bench',
    'netns',
    NAMESPACES.server,
    'type',
    'veth',
    'peer',
    'name',
    'bench',
    'netns',
    NAMESPACES.generator,
  )
  for (const place of places) {
    const inside = ['-n', NAMESPACES[place]]
    ip(...inside, 'addr', 'add', `${ADDRESSES[place]}/24`, 'dev', 'bench')
    ip(...inside, 'link', 'set', 'bench', 'mtu', '1500', 'up')
    ip(...inside, 'link', 'set', 'lo', 'up')
  }
  if (wire) {
    inNamespace(NAMESPACES.generator, () => setChecksumOffload('bench', false))
    ip('-n', NAMESPACES.generator, 'link', 'set', 'bench', 'gso_max_segs', '1')
  }
  if (steer) for (const place of places) steerTo(place)
  return {
    description: 'two network namespaces joined by veth (MTU 1500); server on core 0, generator on core 1',
    serverCore: CORES.server,
    serverAddress: ADDRESSES.server,
    generatorAddress: ADDRESSES.generator,
    at: (place, command) => ['ip', 'netns', 'exec', NAMESPACES[place], ...pinned(place, command)],
    remove: removeNamespaces,
  }
}

function loopback(): BenchNetwork {
  return {
    description:
      'loopback, as this is not root: the kernel charges much of the work to the sender, so compare with care',
    serverAddress: '127.0.0.1',
    generatorAddress: '127.0.0.1',
    serverCore: CORES.server,
    at: pinned,
    remove: () => undefined,
  }
}

function pinned(place: keyof typeof CORES, command: readonly string[]): string[] {
  return ['taskset', '-c', String(CORES[place]), ...command]
}

/** Has the core of a place take what arrives there (Documentation/networking/scaling.rst, RPS). */
function steerTo(place: keyof typeof CORES): void {
  const mask = (1 << CORES[place]).toString(16)
  // /sys shows the interfaces of the namespace that it was mounted in.
  ip(
    'netns',
    'exec',
    NAMESPACES[place],
    'sh',
    '-c',
    `echo ${mask} > /sys/class/net/bench/queues/rx-0/rps_cpus`,
  )
}

function removeNamespaces(): void {
  for (const namespace of Object.values(NAMESPACES)) {
    try {
      execFileSync('ip', ['netns', 'del', namespace], { stdio: 'ignore' })
    } catch {
      // It was not there.
    }
  }
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'] })
}
