import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AllocateOptions } from '../../relay/client/contract.ts'
import type { TransportAddress } from '../../relay/stun/address.ts'
import { formatAddress, formatIp } from '../../relay/stun/address-text.ts'
import { Caller, type Habits } from './caller.ts'
import { at } from './names.ts'
import { Random } from './random.ts'
import { Rover, type RoverTally } from './rover.ts'
import { TcpTalker } from './tcp-talker.ts'
import { World } from './world.ts'

const RUNS = Number(process.env.SIM_RUNS ?? 20)
const FIRST_SEED = Number(process.env.SIM_SEED ?? 1)
const CALLERS = 40
const PEERS = 12
const ROVERS = 10
const TALKERS = 6
const PEERS_IPV6 = 4
const CALL_MS = 20 * 60_000
/** Longest lifetime, grace and retransmission, and then some. */
const SETTLE_MS = 90 * 60_000
const CHECK_EVERY_MS = 15_000

/** A run with everything in it: two families of browsers, bad networks, drains, policy changes, revocation, replays. */
class Scenario {
  readonly random: Random
  readonly world: World
  readonly callers: Caller[] = []
  readonly peers: TransportAddress[] = []
  readonly roved: RoverTally = { moves: 0, reserved: 0, redeemed: 0, echoes: 0 }

  constructor(seed: number) {
    this.random = new Random(seed)
    const loss = this.random.pick([0, 0.02, 0.1, 0.25])
    const quality = {
      loss,
      duplication: this.random.pick([0, 0.05, 0.2]),
      delayMin: 1,
      delayMax: this.random.pick([5, 80, 400]),
    }
    const limits = { allocations: this.random.pick([24, 60]), allocationsPerUser: this.random.pick([6, 15]) }
    this.world = new World(this.random, quality, limits)
    for (let i = 0; i < PEERS; i++) this.#addPeer(at(`8.8.${i}.8:${5000 + i}`))
    for (let i = 0; i < PEERS_IPV6; i++) this.#addPeer(at(`[2600::${i}]:${5000 + i}`))
    for (let id = 0; id < CALLERS; id++)
      this.world.events.at(this.random.between(0, CALL_MS / 2), () => this.#join(id))
    for (let id = 0; id < ROVERS; id++)
      this.world.events.at(this.random.between(0, CALL_MS / 4), () => this.#rove(id))
    for (let id = 0; id < TALKERS; id++)
      this.world.events.at(this.random.between(0, CALL_MS / 4), () => this.#talkOverTcp(id))
    this.#every(60_000, () => this.#disturb())
    this.#every(2_000, () => this.#strangers())
    this.#every(CHECK_EVERY_MS, () => this.#checkLiveness())
  }

  run(): void {
    this.world.run(CALL_MS)
    this.world.server.endDrain()
    for (const caller of this.callers) caller.leave()
    this.world.run(CALL_MS + SETTLE_MS)
    this.world.checkEmpty()
  }

  /** Sends back what it gets, to where it came from. */
  #addPeer(address: TransportAddress): void {
    this.peers.push(address)
    this.world.peers.set(formatAddress(address), {
      receive: (bytes, from) => this.world.network.datagram(() => this.world.toRelay(from, address, bytes)),
    })
  }

  #join(id: number): void {
    const { random } = this
    const habits: Habits = {
      transport: random.chance(0.3) ? 'tcp' : 'udp',
      allocate: random.pick<AllocateOptions>([
        {},
        {},
        { family: 6 },
        { dual: true },
        { lifetimeSeconds: 3600 },
      ]),
      channels: random.chance(0.6),
      refreshBeforeMs: random.pick([10_000, 60_000]),
      permitEveryMs: random.pick([240_000, 290_000]),
      talkEveryMs: random.pick([2_000, 15_000, 60_000]),
      leaves: random.chance(0.5) ? 'politely' : 'silently',
    }
    const { family, dual } = habits.allocate
    const reachable = this.peers.filter((peer) => dual || peer.family === (family ?? 4))
    const picked = [1, 2, 3].map(() => random.pick(reachable))
    const peers = picked.filter((peer, i) => picked.indexOf(peer) === i)
    const caller = new Caller(this.world, id, habits, peers)
    this.callers.push(caller)
    this.world.events.after(random.between(60_000, CALL_MS), () => caller.leave())
    this.world.events.after(30_000, () => this.#introduce(caller))
  }

  #talkOverTcp(id: number): void {
    const ipv4 = this.peers.filter(({ family }) => family === 4)
    const talker = new TcpTalker(this.world, id, this.random.pick(ipv4))
    this.world.events.after(this.random.between(120_000, CALL_MS / 2), () => talker.leave())
  }

  #rove(id: number): void {
    const ipv4 = this.peers.filter(({ family }) => family === 4)
    const rover = new Rover(this.world, id, this.random.pick(ipv4), this.roved)
    this.world.events.after(this.random.between(60_000, CALL_MS / 2), () => rover.leave())
  }

  /** Two callers of this relay learn each other's relayed addresses. */
  #introduce(caller: Caller): void {
    const other = this.random.pick(this.callers)
    const own = caller.relayed[0]
    const theirs = other.relayed.find(({ family }) => family === own?.family)
    if (other === caller || !own || !theirs) return
    caller.meet(theirs)
    other.meet(own)
  }

  #disturb(): void {
    const { world, random } = this
    const what = random.below(4)
    if (what === 0) {
      world.server.startDrain({ alternates: [] })
      world.events.after(45_000, () => world.server.endDrain())
    } else if (what === 1 && world.checker.model.denied.size < 3)
      this.#deny(formatIp(random.pick(this.peers)))
    else if (what === 2) world.revoke(random.pick(['user0', 'user1', 'user2', 'user3', 'rover0', 'talker0']))
    else if (what === 3) this.#rotateNonceKeys()
  }

  #rotateNonceKeys(): void {
    const fresh = { id: 'n', secret: `${this.random.next()}` }
    this.world.reconfigure((config) => ({ ...config, nonceKeys: [fresh, ...config.nonceKeys].slice(0, 3) }))
  }

  #deny(ip: string): void {
    this.world.checker.model.deny(ip)
    this.world.reconfigure((config) => ({
      ...config,
      peers: { ...config.peers, deny: [...config.peers.deny, ip] },
    }))
  }

  /** Peers nobody asked for, replayed and forged packets, noise. */
  #strangers(): void {
    const { world, random } = this
    const stranger = at(`198.19.0.${1 + random.below(200)}:${1 + random.below(65_535)}`)
    world.fromClient(1, stranger, random.bytes(random.below(64)))
    const seen = world.overheard
    if (seen) world.replay(stranger, seen)
    for (const caller of this.callers) {
      const [relayed] = caller.relayed
      if (!relayed || !random.chance(0.05)) continue
      world.toRelay(relayed, at(relayed.family === 4 ? '9.9.9.9:9999' : '[2600::9]:9999'), random.bytes(8))
    }
  }

  /** Whoever was told that an allocation lasts has it. */
  #checkLiveness(): void {
    const { world } = this
    for (const caller of this.callers) {
      if (caller.expectedUntil <= world.now || world.checker.cut.has(caller.key)) continue
      assert.ok(
        world.checker.model.allocations.has(caller.key),
        `caller ${caller.id} lost an allocation that it was promised`,
      )
    }
  }

  #every(periodMs: number, act: () => void): void {
    this.world.events.after(periodMs, () => {
      if (this.world.now >= CALL_MS) return
      act()
      this.#every(periodMs, act)
    })
  }
}

for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed++) {
  test(`clients, peers and strangers on a bad network, seed ${seed}`, (t) => {
    const scenario = new Scenario(seed)
    try {
      scenario.run()
    } catch (error) {
      t.diagnostic(`replay with SIM_SEED=${seed} SIM_RUNS=1, failed at ${scenario.world.now} ms`)
      throw error
    }
    const { checker, network } = scenario.world
    const { tally } = checker
    t.diagnostic(
      JSON.stringify({
        ...tally,
        ...scenario.roved,
        ...scenario.world.tcp.tally,
        carried: network.carried,
        lost: network.lost,
        duplicated: network.duplicated,
      }),
    )
    assert.ok(tally.opened > 10 && tally.toPeers > 100 && tally.toClients > 100, 'nothing was tested')
    assert.ok(scenario.roved.moves > 3 && scenario.roved.echoes > 10, 'nobody moved')
  })
}

test('a run depends on its seed only', () => {
  const run = () => {
    const scenario = new Scenario(1)
    scenario.run()
    return { ...scenario.world.checker.tally, ...scenario.roved, ...scenario.world.tcp.tally }
  }
  const tally = run()
  assert.deepEqual(run(), tally)
  for (const what of ['moves', 'redeemed', 'connects', 'arrivals', 'spliced'] as const) {
    assert.ok(tally[what] > 0, `no ${what}`)
  }
})
