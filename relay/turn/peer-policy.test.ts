import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { disguises, INTERNAL_IPV4, INTERNAL_IPV6 } from '../../test/support/internal-addresses.ts'
import { address } from '../../test/support/turn-harness.ts'
import { formatIp, parseAddress } from '../stun/address-text.ts'
import { parseNetwork } from './network.ts'
import { isPeerRefusal, PeerPolicy, type PeerPolicyOptions } from './peer-policy.ts'

function policy(options: Partial<PeerPolicyOptions> = {}, live: readonly string[] = []): PeerPolicy {
  const own = ['192.0.2.1', '10.9.9.9', '127.0.0.1', '2001:db8::1']
  return new PeerPolicy(
    {
      mode: 'public',
      allow: [],
      deny: [],
      hairpin: true,
      advertised: [ip('192.0.2.1'), ip('2001:db8::1')],
      own: own.map(ip),
      ownPorts: new Set([3478, 443, 9641]),
      ...options,
    },
    (peer) => live.some((text) => address(text).equals(peer)),
  )
}

function ip(text: string) {
  const parsed = parseAddress(text, 0)
  assert.ok(parsed, text)
  return parsed
}

const PUBLIC = [
  '1.1.1.1',
  '8.8.8.8',
  '9.255.255.255',
  '11.0.0.1',
  '100.63.255.255',
  '100.128.0.1',
  '126.1.1.1',
  '128.0.0.1',
  '169.253.1.1',
  '172.15.255.255',
  '172.32.0.1',
  '192.0.1.1',
  '192.167.1.1',
  '192.169.0.1',
  '198.17.255.255',
  '198.20.0.1',
  '223.255.255.255',
  '2001:200::1',
  '2600::1',
  '2a00:1450::1',
  '2003::1',
  '3ffe::1',
]

for (const text of [...INTERNAL_IPV4, ...INTERNAL_IPV6]) {
  test(`RFC 8656 §21: ${text} is refused as a peer`, () => {
    assert.ok(isPeerRefusal(policy({ hairpin: false }).judge(ip(text))))
  })
}

test('CVE-2026-27624: an internal IPv4 address is refused in every IPv6 disguise, also where that form is allowed', () => {
  const open = policy({ allow: ['::/0'] })
  for (const v4 of INTERNAL_IPV4) {
    for (const text of disguises(v4)) {
      assert.ok(isPeerRefusal(policy().judge(ip(text))), text)
      assert.ok(isPeerRefusal(open.judge(ip(text))), `${text} with ::/0 allowed`)
    }
  }
})

for (const text of PUBLIC) {
  test(`${text} is a public peer`, () => assert.equal(policy().judge(ip(text)), 'public'))
}

test('CIDR blocks are compared as one number, at every prefix length', () => {
  const v6 = fc.tuple(
    fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }),
    fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }),
  )
  fc.assert(
    fc.property(
      v6,
      fc.integer({ min: 0, max: 128 }),
      fc.integer({ min: 0, max: 128 }),
      ([base, noise], prefix, keep) => {
        const other =
          ((base >> BigInt(128 - keep)) << BigInt(128 - keep)) |
          (keep === 128 ? 0n : noise & ((1n << BigInt(128 - keep)) - 1n))
        const inside = base >> BigInt(128 - prefix) === other >> BigInt(128 - prefix)
        assert.equal(parseNetwork(`${text(base)}/${prefix}`).contains(ip(text(other))), inside)
      },
    ),
  )
  function text(value: bigint): string {
    return value.toString(16).padStart(32, '0').match(/.{4}/g)!.join(':')
  }
})

const NETWORK_ERRORS = [
  '',
  'x',
  '10.0.0.0/33',
  '10.0.0.0/-1',
  '10.0.0.0/',
  '::/129',
  '10.0.0/8',
  '10.0.0.0/8/8',
]
for (const text of NETWORK_ERRORS) {
  test(`"${text}" in a peer list is refused with its text`, () => {
    assert.throws(
      () => policy({ deny: [text] }),
      (error: Error) => error.message.includes(`"${text}"`),
    )
  })
}

const VERDICTS: readonly [
  name: string,
  options: Partial<PeerPolicyOptions>,
  peer: string,
  verdict: string,
][] = [
  ['allow wins over the built-in refusals', { allow: ['10.0.0.0/8'] }, '10.1.2.3', 'allowed'],
  ['deny wins over allow', { allow: ['10.0.0.0/8'], deny: ['10.1.0.0/16'] }, '10.1.2.3', 'peer-denied'],
  ['deny wins over public', { deny: ['8.8.8.8'] }, '8.8.8.8', 'peer-denied'],
  [
    'deny of an IPv4 address holds inside NAT64',
    { allow: ['64:ff9b::/96'], deny: ['8.8.8.8'] },
    '64:ff9b::8.8.8.8',
    'peer-denied',
  ],
  ['allowed NAT64 reaches public IPv4', { allow: ['64:ff9b::/96'] }, '64:ff9b::8.8.8.8', 'allowed'],
  [
    'allowed NAT64 does not reach private IPv4',
    { allow: ['64:ff9b::/96'] },
    '64:ff9b::10.0.0.1',
    'peer-special',
  ],
  [
    'allowed NAT64 does not reach the relay itself',
    { allow: ['64:ff9b::/96', '192.0.2.0/24'] },
    '64:ff9b::192.0.2.1',
    'peer-special',
  ],
  ['private mode refuses what is not named', { mode: 'private' }, '8.8.8.8', 'peer-not-allowed'],
  ['private mode takes what is named', { mode: 'private', allow: ['8.8.8.0/24'] }, '8.8.8.8', 'allowed'],
  ['the advertised address is reachable for hairpin', {}, '192.0.2.1', 'hairpin'],
  ['the advertised address is refused without hairpin', { hairpin: false }, '192.0.2.1', 'peer-special'],
  ['another own address is refused', {}, '10.9.9.9', 'peer-special'],
  ['deny holds for the advertised address', { deny: ['192.0.2.1'] }, '192.0.2.1', 'peer-denied'],
  ['an own address may be named', { allow: ['127.0.0.0/8'] }, '127.0.0.1', 'own-allowed'],
]
for (const [name, options, peer, verdict] of VERDICTS) {
  test(name, () => assert.equal(policy(options).judge(ip(peer)), verdict))
}

const PORTS: readonly [name: string, options: Partial<PeerPolicyOptions>, peer: string, admitted: boolean][] =
  [
    ['port 0 is no peer', {}, '8.8.8.8:0', false],
    ['privileged ports are refused', {}, '8.8.8.8:53', false],
    ['port 1023 is refused', {}, '8.8.8.8:1023', false],
    ['port 443 is admitted', {}, '8.8.8.8:443', true],
    ['port 1024 is admitted', {}, '8.8.8.8:1024', true],
    ['an allowed address has all ports', { allow: ['8.8.8.8'] }, '8.8.8.8:53', true],
    ['a live allocation of this relay is a peer', {}, '192.0.2.1:50000', true],
    ['another port of this relay is none', {}, '192.0.2.1:50002', false],
    [
      'a relay port of a sibling at the same address is a peer',
      { siblingPorts: { min: 51_000, max: 51_999 } },
      '192.0.2.1:51000',
      true,
    ],
    [
      'a sibling is none without hairpin',
      { siblingPorts: { min: 51_000, max: 51_999 }, hairpin: false },
      '192.0.2.1:51000',
      false,
    ],
    [
      'a sibling is none at another own address',
      { siblingPorts: { min: 51_000, max: 51_999 } },
      '10.9.9.9:51000',
      false,
    ],
    [
      'the own listener is never a sibling',
      { siblingPorts: { min: 1, max: 65_535 } },
      '192.0.2.1:3478',
      false,
    ],
    ['the own listener is never a peer', {}, '192.0.2.1:3478', false],
    [
      'the own listener is never a peer, whatever is allowed',
      { allow: ['0.0.0.0/0'] },
      '192.0.2.1:3478',
      false,
    ],
    [
      'the control port is never a peer, whatever is allowed',
      { allow: ['127.0.0.0/8'] },
      '127.0.0.1:9641',
      false,
    ],
    [
      'the control port is never a peer on another loopback address',
      { allow: ['127.0.0.0/8'] },
      '127.0.0.2:9641',
      false,
    ],
    ['a service beside an allowed relay is a peer', { allow: ['127.0.0.0/8'] }, '127.0.0.1:5000', true],
    [
      'a live allocation is none without hairpin, whatever is allowed',
      { allow: ['0.0.0.0/0'], hairpin: false },
      '192.0.2.1:50000',
      false,
    ],
  ]
for (const [name, options, peer, admitted] of PORTS) {
  test(name, () => {
    const judge = policy(options, ['192.0.2.1:50000'])
    assert.equal(judge.admits(judge.judge(address(peer)), address(peer)), admitted, formatIp(address(peer)))
  })
}

const EXPLANATIONS: readonly [
  options: Partial<PeerPolicyOptions>,
  peer: string,
  rule: string,
  network: string | undefined,
][] = [
  [{}, '10.1.2.3:5000', 'private-use', '10.0.0.0/8'],
  [{}, '169.254.169.254:80', 'link-local', '169.254.0.0/16'],
  [{}, '[::1]:5000', 'loopback', '::1/128'],
  [{}, '[fd00:ec2::254]:80', 'unique-local', 'fc00::/7'],
  [{}, '[fec0::1]:5000', 'not-global-unicast', '8000::/1'],
  [{}, '[64:ff9b::10.0.0.1]:5000', 'private-use', '10.0.0.0/8'],
  [{ deny: ['8.8.4.0/24', '8.8.8.8'] }, '8.8.8.8:5000', 'deny', '8.8.8.8'],
  [{ deny: ['8.8.8.8'] }, '[64:ff9b::8.8.8.8]:5000', 'deny', '8.8.8.8'],
  [{ mode: 'private' }, '8.8.8.8:5000', 'not-allowed', undefined],
  [{}, '10.9.9.9:5000', 'own', undefined],
  [{}, '8.8.8.8:53', 'port', undefined],
  [{}, '192.0.2.1:3478', 'port', undefined],
]
for (const [options, peer, rule, network] of EXPLANATIONS) {
  test(`${peer} is refused by the rule ${rule}`, () => {
    assert.deepEqual({ network: undefined, ...policy(options).explain(address(peer)) }, { rule, network })
  })
}
